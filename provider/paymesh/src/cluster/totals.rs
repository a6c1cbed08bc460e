//! Node counts are totals on both clouds; GKE wants some of them for each zone.
//!
//! AKS counts are totals already. On GKE the autoscaler takes totals (`totalMinNodeCount`,
//! `totalMaxNodeCount`), while the size a pool starts with and the size it is set to are counted
//! for each zone.

/// The size for each zone at which `total` nodes exist at least, over `zones` zones.
pub fn per_zone(total: u32, zones: u32) -> u32 {
    total.div_ceil(zones.max(1))
}

/// The size for each zone with which a pool between `min` and `max` nodes starts: enough for the
/// minimum, without exceeding the maximum.
pub fn initial_per_zone(min: u32, max: u32, zones: u32) -> u32 {
    let zones = zones.max(1);
    per_zone(min, zones).min(max / zones)
}

/// A fixed size that `zones` zones cannot share evenly: the nearest sizes that they can.
pub fn uneven(total: u32, zones: u32) -> Option<(u32, u32)> {
    let zones = zones.max(1);
    let rest = total % zones;
    (rest != 0).then(|| (total - rest, total - rest + zones))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_nodes_over_three_zones_start_as_one_each() {
        assert_eq!(initial_per_zone(3, 5, 3), 1);
        assert_eq!(initial_per_zone(4, 30, 3), 2);
        assert_eq!(initial_per_zone(0, 20, 3), 0);
        assert_eq!(uneven(4, 3), Some((3, 6)));
        assert_eq!(uneven(6, 3), None);
    }

    proptest! {
        #[test]
        fn a_pool_never_starts_above_its_maximum(min in 0_u32..500, more in 0_u32..500, zones in 1_u32..5) {
            let max = min + more;
            prop_assert!(initial_per_zone(min, max, zones) * zones <= max);
        }
    }
}
