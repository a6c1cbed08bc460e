//! Offsets of records in Kafka, as a broker numbers them.

use std::collections::{BTreeMap, BTreeSet};

use bolero::check;
use paymesh_bus::{Place, Places};
use paymesh_fuzz::Choices;

/// A partition as it has to be: what is at work in it, and the offset behind the last one taken.
type Partition = (BTreeSet<i64>, i64);

/// Whatever is taken, settled, taken away and taken again: no offset that can be committed passes a
/// record at work.
#[test]
fn places() {
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let mut places = Places::default();
        let mut expected: BTreeMap<i32, Partition> = BTreeMap::new();
        let first = *choices.one_of(&[0, 7, -1, i64::MAX - 9]);
        for _ in 0..choices.below(64) {
            let partition = i32::from(choices.byte() % 3);
            let offset = first.saturating_add((choices.byte() % 12).into());
            let place = Place { partition, offset };
            match choices.below(8) {
                0 => {
                    places.keep(|one| one != partition);
                    expected.remove(&partition);
                }
                1 => {
                    let reached = places.uncommitted();
                    places.committed(&reached);
                    assert_eq!(places.uncommitted(), []);
                }
                2..=4 => {
                    places.settle(place);
                    if let Some((at_work, _)) = expected.get_mut(&partition) {
                        at_work.remove(&offset);
                    }
                }
                _ => {
                    places.take(place);
                    let (at_work, next) = expected.entry(partition).or_default();
                    // One from before comes again with all behind it.
                    if offset < *next {
                        at_work.clear();
                    }
                    at_work.insert(offset);
                    *next = offset.saturating_add(1);
                }
            }
            let at_work = expected.values().map(|(at_work, _)| at_work.len());
            assert_eq!(places.at_work(), at_work.sum::<usize>());
            for (partition, reached) in places.uncommitted() {
                let (at_work, next) = &expected[&partition];
                let passes = at_work.first().is_some_and(|first| *first < reached);
                assert!(!passes && reached <= *next, "{partition}: {reached}");
            }
        }
    });
}
