/**
 * What zod, valibot, arktype and others have in common: version 1 of Standard Schema (standardschema.dev), as far as it is
 * used here. Types only, so that no validation library is needed.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly "~standard": StandardProperties<Input, Output>;
}

/** What a schema offers under its `~standard` key. */
export interface StandardProperties<Input = unknown, Output = Input> {
  readonly version: 1;
  /** The library. */
  readonly vendor: string;
  readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
  /** Never present at run time: carries the two types. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
}

/** The output, or what is wrong with the input. */
export type StandardResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly StandardIssue[] };

/** One thing that is wrong. A library names a place by its key alone or by an object that has the key. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a schema takes. */
export type InferInput<S extends StandardSchemaV1> = NonNullable<S["~standard"]["types"]>["input"];

/** What a schema gives. */
export type InferOutput<S extends StandardSchemaV1> = NonNullable<S["~standard"]["types"]>["output"];
