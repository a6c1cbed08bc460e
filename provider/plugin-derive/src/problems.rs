//! All mistakes of one declaration, reported together: one bad field does not hide the next.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// Collects compile errors.
#[derive(Default)]
pub(crate) struct Problems {
    found: Option<syn::Error>,
}

impl Problems {
    /// Notes a mistake at the place of `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// Notes an error that already has its place.
    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.found {
            Some(found) => found.combine(error),
            None => self.found = Some(error),
        }
    }

    /// The value of `result`, or none with its error noted.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// The errors as code, if there are any.
    pub(crate) fn into_compile_errors(self) -> Option<TokenStream> {
        self.found.map(|found| found.to_compile_error())
    }
}
