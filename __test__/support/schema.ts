/** Checks a value against a JSON Schema, as far as conformance/schema.json uses that language; what it does not know, it refuses. */

type Schema = Record<string, any>;

const KNOWN = [
  '$schema',
  '$defs',
  '$ref',
  'title',
  'description',
  'type',
  'const',
  'enum',
  'oneOf',
  'anyOf',
  'required',
  'properties',
].concat(['additionalProperties', 'items', 'minItems', 'minimum', 'pattern']);

/** What is wrong with the value; empty when it conforms. */
export function violations(root: Schema, value: unknown, schema: Schema = root, path = '$'): string[] {
  const unknown = Object.keys(schema).filter((key) => !KNOWN.includes(key));
  if (unknown.length > 0) throw new Error(`the schema uses ${unknown.join(', ')}`);
  const check = (next: Schema, item = value, at = path) => violations(root, item, next, at);
  const found: string[] = [];
  const expect = (holds: boolean, what: string) => holds || found.push(`${path} ${what}`);

  if (schema.$ref) found.push(...check(root.$defs[schema.$ref.replace('#/$defs/', '')]));
  if (schema.type) expect(typeOf(value, schema.type), `is not of type ${schema.type}`);
  if ('const' in schema) expect(value === schema.const, `is not ${schema.const}`);
  if (schema.enum) expect(schema.enum.includes(value), `is not one of ${schema.enum}`);
  if (schema.pattern) expect(typeof value === 'string' && new RegExp(schema.pattern).test(value), `does not match ${schema.pattern}`);
  if ('minimum' in schema) expect((value as number) >= schema.minimum, `is below ${schema.minimum}`);
  if (schema.oneOf) expect(schema.oneOf.filter((one: Schema) => check(one).length === 0).length === 1, 'is not exactly one of the forms');
  if (schema.anyOf)
    expect(
      schema.anyOf.some((one: Schema) => check(one).length === 0),
      'is none of the forms',
    );
  if (Array.isArray(value)) {
    expect(value.length >= (schema.minItems ?? 0), `has fewer than ${schema.minItems} items`);
    if (schema.items) value.forEach((item, index) => found.push(...check(schema.items, item, `${path}[${index}]`)));
  } else if (typeof value === 'object' && value !== null) {
    for (const key of schema.required ?? []) expect(key in value, `has no ${key}`);
    for (const [key, item] of Object.entries(value)) {
      const of = schema.properties?.[key] ?? schema.additionalProperties ?? true;
      expect(of !== false, `must not have ${key}`);
      if (typeof of === 'object') found.push(...check(of, item, `${path}.${key}`));
    }
  }
  return found;
}

function typeOf(value: unknown, type: string): boolean {
  if (type === 'integer') return Number.isSafeInteger(value);
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}
