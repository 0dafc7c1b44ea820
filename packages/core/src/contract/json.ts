/** Plain JSON: all that passes the border between core and an adapter. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
