//! Lists that come in pages: all of one, or an error.

use serde_json::Value;

use crate::{Client, Error, ErrorKind, Request};

/// A list that is longer never ends.
const PAGES_MAX: usize = 1000;

impl Client {
    /// All of the list called `key` that begins with the answer to `first`. `next` reads from a page
    /// what asks for the one after it; nothing, if it is the last.
    pub async fn list(
        &self,
        first: Request,
        key: &str,
        next: impl Fn(&Value) -> Result<Option<Request>, Error>,
    ) -> Result<Vec<Value>, Error> {
        let path = first.path().to_owned();
        let mut request = first;
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let mut page = self.send(request).await?.body;
            if !page.is_object() {
                let why = format!("the answer about the list at {path} is no page of it");
                return Err(Error::new(ErrorKind::Malformed, why));
            }
            let after = next(&page)?;
            if let Some(Value::Array(items)) = page.get_mut(key).map(Value::take) {
                all.extend(items);
            }
            match after {
                Some(after) => request = after,
                None => return Ok(all),
            }
        }
        // What is not known to be all would be taken for it.
        let why = format!("the list at {path} goes on after {PAGES_MAX} pages");
        Err(Error::new(ErrorKind::Malformed, why))
    }
}
