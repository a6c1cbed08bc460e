//! How far a group may say it has come: up to the first record that is still at work.

use std::collections::{BTreeMap, BTreeSet};

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of the topic.
    pub partition: i32,
    /// In it.
    pub offset: i64,
}

struct Partition {
    at_work: BTreeSet<i64>,
    next: i64,
    committed: i64,
}

impl Partition {
    fn from(offset: i64) -> Self {
        Self {
            at_work: BTreeSet::new(),
            next: offset,
            committed: offset,
        }
    }

    fn reached(&self) -> i64 {
        self.at_work.first().copied().unwrap_or(self.next)
    }
}

/// Every record that was taken and not settled.
#[derive(Default)]
pub struct Places(BTreeMap<i32, Partition>);

impl Places {
    /// A record was taken. One that was taken before comes again because the partition was away.
    pub fn take(&mut self, place: Place) {
        let begin = || Partition::from(place.offset);
        let partition = self.0.entry(place.partition).or_insert_with(begin);
        if place.offset < partition.next {
            *partition = begin();
        }
        partition.at_work.insert(place.offset);
        partition.next = place.offset.saturating_add(1);
    }

    /// Nothing more is to be done about a record.
    pub fn settle(&mut self, place: Place) {
        if let Some(partition) = self.0.get_mut(&place.partition) {
            partition.at_work.remove(&place.offset);
        }
    }

    /// Forgets the partitions that went to somebody else: so do their records.
    pub fn keep(&mut self, is_ours: impl Fn(i32) -> bool) {
        self.0.retain(|partition, _| is_ours(*partition));
    }

    /// How many records are at work.
    pub fn at_work(&self) -> usize {
        self.0.values().map(|one| one.at_work.len()).sum()
    }

    /// What can be committed and is not: partitions, each with the first offset not settled.
    pub fn uncommitted(&self) -> Vec<(i32, i64)> {
        let dirty = self.0.iter().filter_map(|(partition, one)| {
            let reached = one.reached();
            (one.committed < reached).then_some((*partition, reached))
        });
        dirty.collect()
    }

    /// These were committed.
    pub fn committed(&mut self, offsets: &[(i32, i64)]) {
        for (partition, offset) in offsets {
            if let Some(one) = self.0.get_mut(partition) {
                one.committed = *offset;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> Place {
        Place {
            partition: 3,
            offset,
        }
    }

    fn taken(offsets: impl IntoIterator<Item = i64>) -> Places {
        let mut places = Places::default();
        offsets
            .into_iter()
            .for_each(|offset| places.take(at(offset)));
        places
    }

    #[test]
    fn an_offset_passes_no_record_at_work_whatever_is_settled_behind_it() {
        let mut places = taken([7, 8, 9]);
        places.settle(at(8));
        places.settle(at(9));
        assert_eq!(places.uncommitted(), []);
        places.take(at(10));
        places.settle(at(7));
        assert_eq!(places.uncommitted(), [(3, 10)]);
        places.committed(&[(3, 10)]);
        assert_eq!(places.uncommitted(), []);
    }

    #[test]
    fn a_partition_that_went_away_and_came_back_begins_anew() {
        let mut places = taken([7, 8]);
        places.settle(at(8));
        places.keep(|partition| partition != 3);
        assert_eq!((places.at_work(), places.uncommitted()), (0, vec![]));
        places.settle(at(7));
        places.take(at(7));
        assert_eq!((places.at_work(), places.uncommitted()), (1, vec![]));
    }

    #[test]
    fn records_that_come_again_are_at_work_again() {
        let mut places = taken([7, 8]);
        places.settle(at(7));
        places.settle(at(8));
        places.committed(&[(3, 9)]);
        places.take(at(7));
        assert_eq!((places.at_work(), places.uncommitted()), (1, vec![]));
        places.settle(at(7));
        assert_eq!(places.uncommitted(), [(3, 8)]);
    }

    #[test]
    fn the_last_offset_that_there_can_be_is_one() {
        let mut places = taken([i64::MAX - 1, i64::MAX]);
        places.settle(at(i64::MAX - 1));
        assert_eq!(places.uncommitted(), [(3, i64::MAX)]);
    }
}
