//! What a person names: ids of clusters, versions, ranges.

use bolero::check;
use paymesh::cluster::address::Range;
use paymesh_azure::ArmId;
use paymesh_fuzz::{Choices, text};
use paymesh_google::ClusterName;
use paymesh_kubernetes::{Version, oldest_minor};

const ARM: &str = "/subscriptions/5ab1d6f0-3c64-4c1e-8f59-0a1b2c3d4e51/resourceGroups/pay/providers/\
                   Microsoft.ContainerService/managedClusters/main";

/// An id that is read is printed as one that is the same.
#[test]
fn an_id_of_azure() {
    check!().for_each(|input: &[u8]| {
        let given = text(&mut Choices::new(input), &[ARM]);
        let Ok(id) = ArmId::parse(&given) else { return };
        assert_eq!(ArmId::parse(id.as_str()).as_ref(), Ok(&id));
        let _ = (id.name(), id.namespace(), id.subscription(), id.group_id());
        let mut parents = 0;
        let mut next = id.parent();
        while let Some(id) = next {
            parents += 1;
            assert!(parents < given.len(), "{given:?}");
            next = id.parent();
        }
    });
}

/// An id that is read is printed as one that is the same.
#[test]
fn an_id_of_google() {
    let samples = [
        "projects/pay/locations/europe-west1/clusters/main",
        "https://container.googleapis.com/v1/projects/pay/zones/europe-west1-b/clusters/main",
    ];
    check!().for_each(|input: &[u8]| {
        let given = text(&mut Choices::new(input), &samples);
        let Ok(name) = ClusterName::parse(&given) else {
            return;
        };
        assert_eq!(ClusterName::parse(&name.to_string()).as_ref(), Ok(&name));
        assert!(given.contains(name.place.region()));
        let _ = name.place.is_zone();
    });
}

/// A version that is read is printed as one that is the same, and the way to another ends.
#[test]
fn a_version() {
    let samples = ["1.34", "1.34.2", "v1.33", "1.34.1-gke.100", "2.0"];
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let [one, other] = [(); 2].map(|()| text(&mut choices, &samples));
        let _ = oldest_minor([one.as_str(), &other].into_iter());
        let (Ok(one), Ok(other)) = (one.parse::<Version>(), other.parse::<Version>()) else {
            return;
        };
        assert_eq!(one.to_string().parse(), Ok(one));
        let _ = (one.meets(other), one.path_to(other));
    });
}

/// A range that is read is printed as one that is the same, and overlaps with itself.
#[test]
fn a_range() {
    let samples = ["10.4.0.0/16", "0.0.0.0/0", "192.168.1.1/32"];
    check!().for_each(|input: &[u8]| {
        let given = text(&mut Choices::new(input), &samples);
        let Ok(range) = given.parse::<Range>() else {
            return;
        };
        assert_eq!(range.to_string().parse(), Ok(range));
        assert!(range.overlaps(range) && range.size() > 0);
        let _ = (range.is_private(), range.address(u32::MAX));
    });
}
