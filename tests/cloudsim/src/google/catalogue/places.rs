//! Regions and zones.

/// Every region with the letters of its zones.
const REGIONS: &[(&str, &str)] = &[
    ("asia-east1", "abc"),
    ("asia-northeast1", "abc"),
    ("asia-southeast1", "abc"),
    ("australia-southeast1", "abc"),
    ("europe-north1", "abc"),
    ("europe-southwest1", "abc"),
    ("europe-west1", "bcd"),
    ("europe-west2", "abc"),
    ("europe-west3", "abc"),
    ("europe-west4", "abc"),
    ("europe-west6", "abc"),
    ("europe-west9", "abc"),
    ("southamerica-east1", "abc"),
    ("us-central1", "abcf"),
    ("us-east1", "bcd"),
    ("us-east4", "abc"),
    ("us-west1", "abc"),
    ("us-west2", "abc"),
];

/// Where a cluster lives: a region or a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The region.
    pub(crate) region: String,
    /// The zone, if the cluster is zonal.
    pub(crate) zone: Option<String>,
}

impl Place {
    /// Reads a region or a zone; none if there is no such place.
    pub(crate) fn parse(location: &str) -> Option<Self> {
        if REGIONS.iter().any(|(region, _)| *region == location) {
            return Some(Self {
                region: location.into(),
                zone: None,
            });
        }
        let region = region_of(location)?;
        Some(Self {
            region: region.into(),
            zone: Some(location.into()),
        })
    }

    /// The word in links: regional clusters have `locations`, zonal ones keep `zones`.
    pub(crate) fn word(&self) -> &'static str {
        if self.zone.is_some() {
            "zones"
        } else {
            "locations"
        }
    }

    /// The zones that a cluster here uses unless told otherwise: its zone, or three of its region.
    pub(crate) fn default_zones(&self) -> Vec<String> {
        match &self.zone {
            Some(zone) => vec![zone.clone()],
            None => zones_of(&self.region).into_iter().take(3).collect(),
        }
    }
}

/// The names of all regions.
pub(crate) fn regions() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().map(|(region, _)| *region)
}

/// The zones of a region, in order.
pub(crate) fn zones_of(region: &str) -> Vec<String> {
    REGIONS
        .iter()
        .filter(|(name, _)| *name == region)
        .flat_map(|(name, letters)| {
            letters
                .chars()
                .map(move |letter| format!("{name}-{letter}"))
        })
        .collect()
}

/// The region of a zone; none if there is no such zone.
pub(crate) fn region_of(zone: &str) -> Option<&'static str> {
    let (name, letter) = zone.rsplit_once('-')?;
    REGIONS
        .iter()
        .find(|(region, letters)| *region == name && letter.len() == 1 && letters.contains(letter))
        .map(|(region, _)| *region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_belongs_to_its_region_only_where_it_exists() {
        assert_eq!(region_of("europe-west1-b"), Some("europe-west1"));
        assert_eq!(region_of("europe-west1-a"), None);
    }

    #[test]
    fn a_regional_cluster_spans_three_zones() {
        let place = Place::parse("us-central1").unwrap();
        assert_eq!(
            place.default_zones(),
            ["us-central1-a", "us-central1-b", "us-central1-c"]
        );
    }
}
