//! Resource ids: case-insensitive to compare, case-preserving to show.

/// What a path below the Azure base address names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// The subscription, as sent.
    pub(super) subscription: Option<String>,
    /// The resource group, as sent.
    pub(super) group: Option<String>,
    /// The resource provider's namespace, lower case.
    pub(super) provider: Option<String>,
    /// Types (lower case) and names (as sent) below the provider.
    pub(super) parts: Vec<(String, String)>,
    /// A last type or action without a name, lower case.
    pub(super) tail: Option<String>,
    /// For an extension resource: the id it extends, as sent.
    pub(super) scope: Option<String>,
}

impl Target {
    /// Reads the segments of a path.
    pub(super) fn parse(segments: &[String]) -> Option<Self> {
        let mut target = Self::default();
        let lower: Vec<String> = segments
            .iter()
            .map(|segment| segment.to_ascii_lowercase())
            .collect();
        let extension = lower
            .windows(2)
            .rposition(|pair| pair[0] == "providers" && pair[1] == "microsoft.authorization");
        let mut rest = 0;
        if lower.first().map(String::as_str) == Some("subscriptions") {
            target.subscription = segments.get(1).cloned();
            rest = 2.min(segments.len());
            if lower.get(2).map(String::as_str) == Some("resourcegroups") && segments.len() > 3 {
                target.group = segments.get(3).cloned();
                rest = 4;
            }
        }
        if let Some(at) = extension {
            target.scope = Some(format!("/{}", segments[..at].join("/")));
            rest = at;
        }
        let mut rest = segments.get(rest..)?.iter();
        if let Some(first) = rest.clone().next() {
            if first.eq_ignore_ascii_case("providers") {
                rest.next();
                target.provider = Some(rest.next()?.to_ascii_lowercase());
            }
            let rest: Vec<&String> = rest.collect();
            for pair in rest.chunks(2) {
                match pair {
                    [kind, name] => target
                        .parts
                        .push((kind.to_ascii_lowercase(), (*name).clone())),
                    [kind] => target.tail = Some(kind.to_ascii_lowercase()),
                    _ => {}
                }
            }
        }
        Some(target)
    }

    /// The types, joined by `/`, lower case, the tail included.
    pub(super) fn kind(&self) -> String {
        let mut kinds: Vec<&str> = self.parts.iter().map(|(kind, _)| kind.as_str()).collect();
        kinds.extend(self.tail.as_deref());
        kinds.join("/")
    }

    /// The `n`-th name, or nothing.
    pub(super) fn name(&self, n: usize) -> &str {
        self.parts.get(n).map_or("", |(_, name)| name)
    }

    /// The subscription, or nothing.
    pub(super) fn subscription(&self) -> &str {
        self.subscription.as_deref().unwrap_or_default()
    }

    /// The group, or nothing.
    pub(super) fn group(&self) -> &str {
        self.group.as_deref().unwrap_or_default()
    }

    /// The id of the resource group.
    pub(super) fn group_id(&self) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}",
            self.subscription(),
            self.group()
        )
    }
}

/// How ids are compared and stored.
pub(super) fn key(id: &str) -> String {
    id.trim_end_matches('/').to_ascii_lowercase()
}

/// How locations are compared: without case and spaces.
pub(super) fn location(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_whitespace())
        .collect::<String>()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> Target {
        let segments: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        Target::parse(&segments).unwrap()
    }

    #[test]
    fn a_child_resource_is_read_without_case() {
        let target = parsed(
            "/SUBSCRIPTIONS/s/resourcegroups/G/Providers/microsoft.containerservice/ManagedClusters/C/agentpools/p",
        );
        assert_eq!(target.kind(), "managedclusters/agentpools");
        assert_eq!(
            (target.group(), target.name(0), target.name(1)),
            ("G", "C", "p")
        );
    }

    #[test]
    fn an_action_is_a_tail() {
        let target = parsed(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c/stop",
        );
        assert_eq!(target.kind(), "managedclusters/stop");
    }

    #[test]
    fn an_extension_names_its_scope() {
        let target = parsed(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Authorization/roleAssignments/r",
        );
        assert_eq!(
            target.scope.as_deref(),
            Some("/subscriptions/s/resourceGroups/g")
        );
        assert_eq!(target.kind(), "roleassignments");
    }
}
