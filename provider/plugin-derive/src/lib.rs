//! Derive macros: one typed struct is the schema, the docs and the decoder.
