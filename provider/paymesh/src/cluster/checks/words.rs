//! The shapes of the words that clouds and Kubernetes accept.

/// Whether `text` is a UUID such as an Entra object id.
pub(super) fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups
            .iter()
            .all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether `text` looks like an e-mail address.
pub(super) fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && host.contains('.')
            && !host.contains('@')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !text.contains(char::is_whitespace)
    })
}

/// The last part of an ARM id of the given type, if `text` is one:
/// `/subscriptions/S/resourceGroups/G/providers/TYPE/NAME`, without regard to case.
pub(super) fn arm_name<'a>(text: &'a str, kind: &str) -> Option<&'a str> {
    let parts: Vec<&str> = text.strip_prefix('/')?.split('/').collect();
    let kinds: Vec<&str> = kind.split('/').collect();
    let [
        subscriptions,
        id,
        groups,
        group,
        providers,
        namespace,
        rest @ ..,
    ] = parts.as_slice()
    else {
        return None;
    };
    let words = [
        (*subscriptions, "subscriptions"),
        (*groups, "resourceGroups"),
        (*providers, "providers"),
        (*namespace, kinds[0]),
    ];
    let right = words
        .iter()
        .all(|(given, wanted)| given.eq_ignore_ascii_case(wanted))
        && !id.is_empty()
        && !group.is_empty()
        && rest.len() == 2 * (kinds.len() - 1)
        && rest
            .chunks(2)
            .zip(&kinds[1..])
            .all(|(pair, kind)| pair[0].eq_ignore_ascii_case(kind) && !pair[1].is_empty());
    right.then(|| parts[parts.len() - 1])
}

/// The part of a Google path that follows `word`: the region in
/// `projects/p/regions/europe-west1/subnetworks/s`.
pub(super) fn google_part<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let path = text
        .strip_prefix("https://www.googleapis.com/compute/v1/")
        .or_else(|| text.strip_prefix("//container.googleapis.com/"))
        .unwrap_or(text);
    let mut parts = path.split('/');
    if !path.starts_with("projects/") {
        return None;
    }
    parts.by_ref().find(|part| *part == word)?;
    parts.next().filter(|part| !part.is_empty())
}

/// Whether `text` is a region as the clouds write them.
pub(super) fn is_region(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether `text` is a Google project id.
pub(super) fn is_project(text: &str) -> bool {
    (6..=30).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && is_region(text)
}

/// Whether `text` is the name of an Azure resource group.
pub(super) fn is_resource_group(text: &str) -> bool {
    (1..=90).contains(&text.len())
        && !text.ends_with('.')
        && text
            .chars()
            .all(|letter| letter.is_alphanumeric() || "-_.()".contains(letter))
}

/// Why `text` is not the key of a Kubernetes label or taint.
pub(super) fn bad_label_key(text: &str) -> Option<&'static str> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if name.is_empty() || name.len() > 63 || !is_qualified(name) {
        return Some(
            "its name must be 1 to 63 letters, digits, hyphens, dots or underscores, with a letter or digit at both ends",
        );
    }
    let bad_prefix = |prefix: &str| {
        prefix.is_empty()
            || prefix.len() > 253
            || !prefix
                .split('.')
                .all(|part| !part.is_empty() && is_dns_label(part))
    };
    prefix
        .is_some_and(bad_prefix)
        .then_some("what stands before the slash must be a DNS name")
}

/// Whether `text` is the value of a Kubernetes label or taint.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || text.len() <= 63 && is_qualified(text)
}

/// The cloud's or Kubernetes' own part of the key space, if `key` lies in it.
pub(super) fn reserved_label(key: &str) -> Option<&str> {
    let prefix = key.split_once('/')?.0;
    let owned = [
        "kubernetes.io",
        "k8s.io",
        "kubernetes.azure.com",
        "cloud.google.com",
        "gke.io",
    ];
    let allowed = ["node-restriction.kubernetes.io"];
    let is_owned = owned.iter().any(|owner| {
        prefix == *owner
            || prefix.ends_with(owner) && prefix[..prefix.len() - owner.len()].ends_with('.')
    });
    (is_owned && !allowed.contains(&prefix)).then_some(prefix)
}

fn is_qualified(text: &str) -> bool {
    let alphanumeric = |letter: char| letter.is_ascii_alphanumeric();
    text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

fn is_dns_label(text: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    text.len() <= 63
        && text.starts_with(inner)
        && text.ends_with(inner)
        && text.chars().all(|letter| inner(letter) || letter == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arm_ids_are_read_without_regard_to_case() {
        let subnet = "/subscriptions/s/resourcegroups/g/providers/microsoft.network/virtualNetworks/v/subnets/n";
        assert_eq!(
            arm_name(subnet, "Microsoft.Network/virtualNetworks/subnets"),
            Some("n")
        );
        assert_eq!(arm_name(subnet, "Microsoft.Network/virtualNetworks"), None);
        assert_eq!(
            arm_name("projects/p", "Microsoft.Network/virtualNetworks"),
            None
        );
    }

    #[test]
    fn google_paths_name_their_region() {
        let subnet = "projects/p/regions/europe-west1/subnetworks/s";
        let link = format!("https://www.googleapis.com/compute/v1/{subnet}");
        assert_eq!(google_part(subnet, "regions"), Some("europe-west1"));
        assert_eq!(google_part(&link, "subnetworks"), Some("s"));
        assert_eq!(google_part("/subscriptions/s", "regions"), None);
    }

    #[test]
    fn the_clouds_own_labels_are_known() {
        assert_eq!(
            reserved_label("kubernetes.azure.com/mode"),
            Some("kubernetes.azure.com")
        );
        assert_eq!(
            reserved_label("node.kubernetes.io/x"),
            Some("node.kubernetes.io")
        );
        assert_eq!(reserved_label("node-restriction.kubernetes.io/x"), None);
        assert_eq!(reserved_label("notkubernetes.io/x"), None);
        assert_eq!(reserved_label("team"), None);
    }

    #[test]
    fn uuids_and_addresses_have_their_shape() {
        assert!(is_uuid("00000000-0000-0000-0000-000000000001") && !is_uuid("platform"));
        assert!(is_email("platform@example.com") && !is_email("platform@") && !is_email("a b@c.d"));
    }
}
