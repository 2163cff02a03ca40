/** Integers as programs store them, and decimal numbers as people write them. */

export const INTEGER_TYPES = ['u8', 'u16', 'u32', 'u64', 'i8', 'i16', 'i32', 'i64'] as const;
export type IntegerType = (typeof INTEGER_TYPES)[number];

export function sizeOf(type: IntegerType): number {
  return Number(type.slice(1)) / 8;
}

export function rangeOf(type: IntegerType): { min: bigint; max: bigint } {
  const bits = BigInt(type.slice(1));
  return type.startsWith('u') ? { min: 0n, max: 2n ** bits - 1n } : { min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n };
}

/** The caller has checked the range. */
export function writeInteger(target: Buffer, offset: number, type: IntegerType, value: bigint): void {
  const size = sizeOf(type);
  if (size === 8) target.writeBigUInt64LE(BigInt.asUintN(64, value), offset);
  else if (type.startsWith('u')) target.writeUIntLE(Number(value), offset, size);
  else target.writeIntLE(Number(value), offset, size);
}

export function readInteger(source: Buffer, offset: number, type: IntegerType): bigint {
  const size = sizeOf(type);
  if (size === 8) return type === 'u64' ? source.readBigUInt64LE(offset) : source.readBigInt64LE(offset);
  return BigInt(type.startsWith('u') ? source.readUIntLE(offset, size) : source.readIntLE(offset, size));
}

/** `12.5` with 2 decimals is 1250; undefined for what is not a number with at most that many decimals. */
export function parseDecimal(text: string, decimals: number): bigint | undefined {
  const [, sign, whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === '' || /[^0]/.test(fraction.slice(decimals))) return undefined;
  const value = BigInt(whole + fraction.slice(0, decimals).padEnd(decimals, '0'));
  return sign ? -value : value;
}

/** 1250 with 2 decimals is `12.50`. */
export function formatDecimal(value: bigint, decimals: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  return `${value < 0n ? '-' : ''}${whole}${decimals > 0 ? `.${digits.slice(-decimals)}` : ''}`;
}

/** For people: thousands apart, and no more than `digits` decimals, the last one rounded. */
export function showDecimal(value: bigint, decimals: number, digits = decimals): string {
  const [whole, fraction] = formatDecimal(round(value, decimals - digits), Math.min(decimals, digits)).split('.');
  const grouped = whole!.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** Drops decimals; halves away from zero. */
function round(value: bigint, drop: number): bigint {
  if (drop <= 0) return value;
  const unit = 10n ** BigInt(drop);
  return (value + (value < 0n ? -unit : unit) / 2n) / unit;
}
