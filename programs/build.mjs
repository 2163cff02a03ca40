#!/usr/bin/env node
// Builds the on-chain programs from C with the compiler and linker of Debian; see README.md.
//
//   node programs/build.mjs              builds every programs/<name>/*.c into programs/prebuilt/<name>.so
//   node programs/build.mjs --check      builds them elsewhere and compares with programs/prebuilt/, byte by byte
//   node programs/build.mjs DIR OUT.so   builds the C files of one directory, anywhere
//
// Exit codes: 0 done; 1 a program was refused, or differs; 2 bad usage, or a tool is missing.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(fileURLToPath(import.meta.url));
const INCLUDE = join(ROOT, 'include');
const PREBUILT = join(ROOT, 'prebuilt');
const LINKER_SCRIPT = join(ROOT, 'sbpfv3.ld');

// -mcpu=v3 would be silently wrong: sBPF sign-extends 32-bit sums where LLVM expects zeros. With v2 there are none.
const COMPILE = [
  '--target=bpfel',
  '-mcpu=v2',
  '-O2',
  '-std=c11',
  '-ffreestanding',
  '-fno-builtin',
  '-fno-ident',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-mllvm',
  '-bpf-stack-size=4096',
  '-I',
  INCLUDE,
  '-c',
];
const LINK = ['-s', '-n', '-z', 'max-page-size=8', '-T', LINKER_SCRIPT];

const SBPF_V3 = 3;
const EM_BPF = 247;
const INSTRUCTION = 8;
const CODE_ADDRESS = 1n << 32n;

class Refusal extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

function run(tool, args) {
  const { error, status, stderr } = spawnSync(tool, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  if (error) throw new Refusal(`${tool}: ${error.message}`);
  if (status !== 0) throw new Refusal(`${tool} failed:\n${stderr.trim()}`);
}

function requireTools() {
  const packages = { 'clang-19': 'clang-19', 'bpf-ld': 'binutils-bpf' };
  const missing = Object.keys(packages).filter((tool) => spawnSync(tool, ['--version']).error);
  if (missing.length > 0) {
    throw new Refusal(
      `not found: ${missing.join(', ')}. Install the Debian packages clang-19 and binutils-bpf: ` +
        'apt-get install --no-install-recommends clang-19 binutils-bpf',
      2,
    );
  }
}

// ---- Syscall numbers ----

/** murmur3-32 with seed 0: how sBPF v3 numbers syscalls. */
export function murmur3(name) {
  const bytes = Buffer.from(name);
  const rotate = (x, bits) => (x << bits) | (x >>> (32 - bits));
  const scramble = (word) => Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
  const whole = bytes.length - (bytes.length % 4);

  let hash = 0;
  for (let i = 0; i < whole; i += 4) {
    hash = (Math.imul(rotate(hash ^ scramble(bytes.readUInt32LE(i)), 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let i = bytes.length - 1; i >= whole; i--) tail = (tail << 8) | bytes[i];
  hash ^= scramble(tail) ^ bytes.length;

  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const hex = (number) => `0x${number.toString(16).padStart(8, '0')}`;

const SYSCALL_ROW = /#define\s+(\w+)\s+SOL_SYSCALL(_AS)?\(\s*(\w+),\s*(?:(\w+),\s*)?(0x[0-9a-fA-F]+)\s*\)/g;

/** Reads the numbers that C files bind to names, and refuses every one that is not the hash of its name. */
function syscallTable(files) {
  const names = new Map();
  for (const file of files) {
    const source = readFileSync(file, 'utf8').replace(/\\\n/g, ' ');
    for (const [, macro, as, prototype, alias, digits] of source.matchAll(SYSCALL_ROW)) {
      const name = as ? alias : prototype;
      const number = Number(digits);
      if (macro !== prototype || !macro.startsWith(name)) {
        throw new Refusal(`${file}: ${macro} is bound to ${prototype}${as ? ` and ${name}` : ''}`);
      }
      if (number !== murmur3(name)) {
        throw new Refusal(`${file}: ${name} is ${digits}, but the murmur3-32 of its name is ${hex(murmur3(name))}`);
      }
      names.set(number, name);
    }
  }
  return names;
}

// ---- ELF ----

function sections(elf) {
  const offset = Number(elf.readBigUInt64LE(0x28));
  const [size, count, nameIndex] = [elf.readUInt16LE(0x3a), elf.readUInt16LE(0x3c), elf.readUInt16LE(0x3e)];
  const headers = Array.from({ length: count }, (_, i) => {
    const at = offset + i * size;
    return {
      nameAt: elf.readUInt32LE(at),
      executable: (elf.readBigUInt64LE(at + 8) & 4n) !== 0n,
      offset: Number(elf.readBigUInt64LE(at + 24)),
      size: Number(elf.readBigUInt64LE(at + 32)),
    };
  });
  const names = headers[nameIndex].offset;
  return headers.map((header) => {
    const start = names + header.nameAt;
    return { ...header, name: elf.toString('latin1', start, elf.indexOf(0, start)) };
  });
}

function* instructions(elf, start, size) {
  for (let at = start; at < start + size; at += INSTRUCTION) {
    const opcode = elf[at];
    yield { at: at - start, opcode, source: elf[at + 1] >> 4, immediate: elf.readUInt32LE(at + 4) };
    if (opcode === 0x18) at += INSTRUCTION; // a 64-bit constant takes two places
  }
}

/** Refuses what sBPF does not have or GNU bpf-ld links wrongly without saying so. */
function checkObject(elf, source) {
  for (const section of sections(elf)) {
    const { name } = section;
    if (section.size === 0) continue;
    if (/^\.rel\.(ro)?data/.test(name)) {
      throw new Refusal(
        `${source}: ${name}: a constant holds an address (a table of strings or functions?); ` +
          'bpf-ld would link it wrongly. Use an array of characters, or a switch',
      );
    }
    if (/^\.t?(data|bss)/.test(name)) {
      throw new Refusal(`${source}: ${name}: a program has no writable globals; use the stack, the heap or an account`);
    }
    if (!section.executable) continue;
    for (const { at, opcode } of instructions(elf, section.offset, section.size)) {
      if ((opcode & 0xe7) === 0xc3) {
        throw new Refusal(`${source}: ${name}+0x${at.toString(16)}: an atomic instruction, which sBPF does not have`);
      }
    }
  }
}

/** Checks the linked file as the loader will, and returns the names of its syscalls. */
function checkProgram(elf, name, table) {
  const segment = (i) => {
    const at = 64 + i * 56;
    const [offset, address, fileSize, memorySize] = [8, 16, 32, 40].map((field) => elf.readBigUInt64LE(at + field));
    return { type: elf.readUInt32LE(at), flags: elf.readUInt32LE(at + 4), offset, address, fileSize, memorySize };
  };
  const refuse = (what) => {
    throw new Refusal(
      `${name}: ${what}; the layout of sbpfv3.ld did not hold (a section it does not name, or an ` + 'alignment above 16?)',
    );
  };
  if (elf.readUInt16LE(18) !== EM_BPF) refuse('not a BPF file');
  if (elf.readUInt16LE(56) !== 2) refuse(`${elf.readUInt16LE(56)} segments instead of 2`);
  const [rodata, text] = [segment(0), segment(1)];
  for (const [{ type, flags, offset, address, fileSize, memorySize }, wantFlags, wantOffset, wantAddress] of [
    [rodata, 4, 64n + 2n * 56n, 0n],
    [text, 1, rodata.offset + rodata.fileSize, CODE_ADDRESS],
  ]) {
    if (
      type !== 1 ||
      flags !== wantFlags ||
      offset !== wantOffset ||
      address !== wantAddress ||
      fileSize !== memorySize ||
      fileSize % 8n !== 0n ||
      fileSize === 0n
    ) {
      refuse(`the segment at ${address} is not as the loader demands`);
    }
  }
  const entry = elf.readBigUInt64LE(24);
  if (entry < CODE_ADDRESS || entry >= CODE_ADDRESS + text.fileSize) refuse('entrypoint is not in the code');

  const used = new Set();
  for (const { at, opcode, source, immediate } of instructions(elf, Number(text.offset), Number(text.fileSize))) {
    if (opcode !== 0x85 || source !== 0) continue;
    if (!table.has(immediate)) {
      throw new Refusal(`${name}: code+0x${at.toString(16)}: calls ${hex(immediate)}, which is no declared syscall`);
    }
    used.add(table.get(immediate));
  }
  return [...used].sort();
}

// ---- Building ----

const filesIn = (directory, pattern) =>
  readdirSync(directory)
    .filter((file) => pattern.test(file))
    .sort()
    .map((file) => join(directory, file));

/** Compiles and links the C files of one directory; returns the program's bytes and its syscalls. */
function buildProgram(directory) {
  const sources = filesIn(directory, /\.c$/);
  if (sources.length === 0) throw new Refusal(`${directory}: no C files`, 2);
  const table = syscallTable([...filesIn(INCLUDE, /\.h$/), ...filesIn(directory, /\.[ch]$/)]);

  const work = mkdtempSync(join(tmpdir(), 'sbpf-'));
  try {
    const objects = sources.map((source) => {
      const object = join(work, `${basename(source, '.c')}.o`);
      run('clang-19', [...COMPILE, source, '-o', object]);
      checkObject(readFileSync(object), source);
      return object;
    });
    const linked = join(work, 'program.so');
    run('bpf-ld', [...LINK, '-o', linked, ...objects]);
    const elf = readFileSync(linked);
    elf.writeUInt32LE(SBPF_V3, 48); // e_flags, where the loader looks for the version
    return { elf, syscalls: checkProgram(elf, basename(directory), table) };
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Every program here, as file name -> contents, with the list of their hashes. */
function buildAll() {
  const files = new Map();
  let sums = '';
  for (const entry of readdirSync(ROOT, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const directory = join(ROOT, entry.name);
    if (!entry.isDirectory() || filesIn(directory, /\.c$/).length === 0) continue;
    const { elf, syscalls } = buildProgram(directory);
    files.set(`${entry.name}.so`, elf);
    sums += `${createHash('sha256').update(elf).digest('hex')}  ${entry.name}.so\n`;
    console.log(`${entry.name}.so: ${elf.length} bytes; calls ${syscalls.join(', ') || 'nothing'}`);
  }
  return files.set('SHA256SUMS', Buffer.from(sums));
}

const prebuiltFiles = () => (existsSync(PREBUILT) ? readdirSync(PREBUILT) : []);

function write(files) {
  mkdirSync(PREBUILT, { recursive: true });
  for (const file of prebuiltFiles()) if (!files.has(file)) rmSync(join(PREBUILT, file));
  for (const [file, contents] of files) writeFileSync(join(PREBUILT, file), contents);
}

function check(files) {
  const same = (file) => files.has(file) && existsSync(join(PREBUILT, file)) && files.get(file).equals(readFileSync(join(PREBUILT, file)));
  const different = [...new Set([...files.keys(), ...prebuiltFiles()])].filter((file) => !same(file)).sort();
  if (different.length > 0) {
    throw new Refusal(
      `prebuilt/ is not what the sources give: ${different.join(', ')}. ` +
        'Run node programs/build.mjs, with the compiler that README.md names',
    );
  }
  console.log('prebuilt/ is what the sources give');
}

function main(args) {
  const [first, second] = args;
  if (args.length === 0) {
    requireTools();
    write(buildAll());
  } else if (args.length === 1 && first === '--check') {
    requireTools();
    check(buildAll());
  } else if (args.length === 2 && existsSync(first)) {
    requireTools();
    writeFileSync(second, buildProgram(resolve(first)).elf);
  } else {
    throw new Refusal('usage: node programs/build.mjs [--check | DIR OUT.so]', 2);
  }
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    console.error(error.message);
    process.exitCode = error.exitCode;
  }
}
