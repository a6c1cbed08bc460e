//! Settings from environment variables, all mistakes at once.

use std::{fmt, str::FromStr, time::Duration};

/// Where variables are looked up.
type Lookup = Box<dyn Fn(&str) -> Option<String>>;

/// Reads variables and remembers what was wrong with each.
pub struct Settings {
    lookup: Lookup,
    mistakes: Vec<String>,
}

/// Every mistake in the settings, one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings have {} mistake(s):\n  {}", .0.len(), .0.join("\n  "))]
pub struct SettingsError(pub Vec<String>);

impl Settings {
    /// Settings of this process.
    pub fn from_environment() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// Settings from anywhere else.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + 'static) -> Self {
        Self {
            lookup: Box::new(lookup),
            mistakes: Vec::new(),
        }
    }

    /// A setting that must be given. After a mistake `None` stands in for it until [`Self::done`].
    pub fn required<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &str,
        meaning: &str,
    ) -> Option<T> {
        if let Some(text) = (self.lookup)(name).filter(|text| !text.is_empty()) {
            return self.parsed(name, meaning, &text);
        }
        self.mistakes.push(format!("{name} is missing: {meaning}"));
        None
    }

    /// A setting with a default.
    pub fn optional<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &str,
        meaning: &str,
        default: T,
    ) -> T {
        match (self.lookup)(name).filter(|text| !text.is_empty()) {
            Some(text) => self.parsed(name, meaning, &text).unwrap_or(default),
            None => default,
        }
    }

    /// A duration in milliseconds, with a default.
    pub fn milliseconds(&mut self, name: &str, meaning: &str, default_ms: u64) -> Duration {
        Duration::from_millis(self.optional(name, meaning, default_ms))
    }

    /// Whether a setting is given at all.
    pub fn has(&self, name: &str) -> bool {
        (self.lookup)(name).is_some_and(|text| !text.is_empty())
    }

    /// Notes what is wrong with settings that each can be read.
    pub fn mistake(&mut self, text: String) {
        self.mistakes.push(text);
    }

    fn parsed<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &str,
        meaning: &str,
        text: &str,
    ) -> Option<T> {
        text.parse()
            .map_err(|reason: T::Err| {
                // The text is not repeated: it may be a secret in the wrong place.
                self.mistakes
                    .push(format!("{name} cannot be read ({reason}): {meaning}"));
            })
            .ok()
    }

    /// The settings, built by `build` when there was no mistake.
    pub fn done<T>(self, build: Option<T>) -> Result<T, SettingsError> {
        match build {
            Some(whole) if self.mistakes.is_empty() => Ok(whole),
            _ => Err(SettingsError(self.mistakes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_reported_at_once_and_no_value_is_repeated() {
        let mut settings = Settings::new(|name| (name == "PORT").then(|| "hunter2".to_owned()));
        let port: Option<u16> = settings.required("PORT", "where to listen");
        let url: Option<String> = settings.required("URL", "whom to call");
        let SettingsError(mistakes) = settings.done(port.zip(url)).unwrap_err();
        assert_eq!(mistakes.len(), 2);
        assert!(!mistakes.join("").contains("hunter2"));
    }
}
