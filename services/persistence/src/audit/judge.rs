//! Seals and rows in their order, compared: pure code, however they are read.

use paymesh_contracts::digest;
use serde::Serialize;

use super::{
    Head, Shard,
    encoding::{Entry, Hash, NOTHING, Seal},
};

/// Something that is not as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    #[serde(rename = "finding")]
    pub what: What,
    /// In which chain.
    pub shard: Shard,
    /// The row, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The seal it is about, or that has the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<i64>,
    /// For a person.
    pub detail: String,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A row is not as it was sealed.
    RowChanged,
    /// A row was sealed and is not there.
    RowMissing,
    /// A row is there that should have been sealed, and was not.
    RowInserted,
    /// A seal is not as it was made.
    SealChanged,
    /// A seal is not there.
    SealMissing,
    /// A head that was kept elsewhere is beyond the end of what is left of its chain.
    TailLost,
    /// At a head that was kept elsewhere the chain is another one.
    ChainRewritten,
    /// A balance is not the sum of its postings.
    BalanceDiffers,
}

/// The ledger epoch of a lease: each promotion raises leases beyond the next 2^32.
fn promotions(epoch: i64) -> i64 {
    epoch >> 32
}

/// The seal that came last.
#[derive(Clone, Copy, Debug)]
struct End {
    number: i64,
    epoch: i64,
    last_seq: i64,
    total: i64,
    hash: Hash,
}

const START: End = End {
    number: 0,
    epoch: 0,
    last_seq: i64::MIN,
    total: 0,
    hash: NOTHING,
};

/// A head that was kept elsewhere.
struct Known<'a> {
    head: &'a Head,
    /// The end of what was there before the first seal of a later promotion.
    before_promotion: Option<End>,
}

/// Judges one chain.
pub(super) struct Judge<'a, F> {
    shard: Shard,
    found: F,
    /// In the order of their seals.
    known: Vec<Known<'a>>,
    /// How many of them were passed.
    passed: usize,
    is_rewritten: bool,
    end: End,
    /// Of the open seal: what is still expected of it, and where it begins.
    expected: std::iter::Peekable<std::vec::IntoIter<Entry>>,
    after_seq: i64,
    /// Seals that are missing before the open one, and rows that only they can have had.
    missing: Option<(i64, i64)>,
    uncovered: u64,
}

impl<'a, F: FnMut(Finding)> Judge<'a, F> {
    /// Before the first seal.
    pub(super) fn new(shard: Shard, known: &'a [Head], found: F) -> Self {
        let known = known.iter().filter(|head| head.shard == shard);
        let mut known: Vec<Known<'a>> = known
            .map(|head| Known {
                head,
                before_promotion: None,
            })
            .collect();
        known.sort_by_key(|known| known.head.seal);
        Self {
            shard,
            found,
            known,
            passed: 0,
            is_rewritten: false,
            end: START,
            expected: Vec::new().into_iter().peekable(),
            after_seq: i64::MIN,
            missing: None,
            uncovered: 0,
        }
    }

    fn find(&mut self, what: What, seal: Option<i64>, row: Option<&Entry>, detail: String) {
        (self.found)(Finding {
            what,
            shard: self.shard,
            id: row.map(|row| self.shard.id_text(row.id)),
            seq: row.map(|row| row.seq),
            seal,
            detail,
        });
    }

    /// The next seal; every row up to the end of the one before was shown.
    pub(super) fn seal(&mut self, seal: &Seal) {
        self.close();
        let before = self.end;
        let follows = before.number.checked_add(1) == Some(seal.number);
        if follows {
            let rows = Entry::read(&seal.entries).count();
            let is_next = seal.previous == before.hash
                && seal.after_seq == before.last_seq
                && i64::try_from(rows).ok() == seal.total.checked_sub(before.total);
            if !is_next {
                let detail = "it does not follow from the one before".to_owned();
                self.find(What::SealChanged, Some(seal.number), None, detail);
            }
        } else if seal.number > before.number {
            self.missing = Some((before.number.saturating_add(1), seal.number - 1));
        }
        if seal.hash_of(self.shard) != seal.hash {
            let detail = "its hash is not that of its content".to_owned();
            self.find(What::SealChanged, Some(seal.number), None, detail);
        }
        self.compare_known(seal, before);
        self.expected = Entry::read(&seal.entries)
            .collect::<Vec<_>>()
            .into_iter()
            .peekable();
        self.after_seq = seal.after_seq;
        self.end = End {
            number: seal.number,
            epoch: seal.epoch,
            last_seq: seal.last_seq,
            total: seal.total,
            hash: seal.hash,
        };
    }

    fn compare_known(&mut self, seal: &Seal, before: End) {
        if promotions(seal.epoch) > promotions(before.epoch) {
            for known in &mut self.known[self.passed..] {
                if promotions(seal.epoch) > promotions(known.head.epoch) {
                    known.before_promotion.get_or_insert(before);
                }
            }
        }
        while let Some(known) = self.known.get(self.passed) {
            if known.head.seal > seal.number {
                return;
            }
            self.passed += 1;
            let is_other = known.head.seal == seal.number
                && known.before_promotion.is_none()
                && digest::hex(&seal.hash) != known.head.hash;
            // From the first one on all are others.
            if is_other && !std::mem::replace(&mut self.is_rewritten, true) {
                let detail = "the seal with this number was another one when its hash was kept";
                self.find(
                    What::ChainRewritten,
                    Some(seal.number),
                    None,
                    detail.to_owned(),
                );
            }
        }
    }

    /// A row up to the end of the open seal.
    pub(super) fn row(&mut self, row: &Entry) {
        if row.seq <= self.after_seq {
            if self.missing.is_some() {
                self.uncovered += 1;
            } else {
                self.inserted(row);
            }
            return;
        }
        while let Some(gone) = self.expected.next_if(|entry| entry.seq < row.seq) {
            self.gone(&gone);
        }
        match self.expected.next_if(|entry| entry.seq == row.seq) {
            None => self.inserted(row),
            Some(sealed) if sealed == *row => {}
            Some(sealed) => {
                let detail = if sealed.id == row.id {
                    "a column is not as it was sealed".to_owned()
                } else {
                    let id = self.shard.id_text(row.id);
                    format!("{id} is in its place")
                };
                self.find(
                    What::RowChanged,
                    Some(self.end.number),
                    Some(&sealed),
                    detail,
                );
            }
        }
    }

    /// A row behind the last seal, with a number that was never given out.
    pub(super) fn row_from_nowhere(&mut self, row: &Entry) {
        let detail = "its number was never given out".to_owned();
        self.find(What::RowInserted, None, Some(row), detail);
    }

    /// A row that has no number.
    pub(super) fn row_without_number(&mut self, id: uuid::Uuid) {
        let finding = Finding {
            what: What::RowInserted,
            shard: self.shard,
            id: Some(self.shard.id_text(id)),
            seq: None,
            seal: None,
            detail: "it has no number that is ever given out".to_owned(),
        };
        (self.found)(finding);
    }

    fn inserted(&mut self, row: &Entry) {
        let detail = "it was not there when its seal was made".to_owned();
        self.find(What::RowInserted, Some(self.end.number), Some(row), detail);
    }

    fn gone(&mut self, row: &Entry) {
        let detail = "it was sealed and is not there".to_owned();
        self.find(What::RowMissing, Some(self.end.number), Some(row), detail);
    }

    /// Every row of the open seal was shown.
    fn close(&mut self) {
        while let Some(gone) = self.expected.next() {
            self.gone(&gone);
        }
        let uncovered = std::mem::take(&mut self.uncovered);
        if let Some((first, last)) = self.missing.take() {
            let detail = format!("up to seal {last}; {uncovered} rows were in none that is left");
            self.find(What::SealMissing, Some(first), None, detail);
        }
    }

    /// Every seal was shown, and every row up to the end of the last one. Says where the chain ends.
    pub(super) fn end(&mut self) -> Head {
        self.close();
        let end = self.end;
        let lost = self.known.iter().filter_map(|known| {
            let is_cut = known.head.seal > end.number;
            let left = known.before_promotion.or(is_cut.then_some(end))?;
            Some((known.head, left, known.before_promotion.is_some()))
        });
        // Of several heads the last one tells of all that is lost.
        if let Some((head, left, is_promoted)) = lost.max_by_key(|(head, ..)| head.seal) {
            let detail = format!(
                "up to seal {}: {} rows with numbers above {} up to {} were sealed there{}",
                head.seal,
                head.rows.saturating_sub(left.total),
                left.last_seq,
                head.last_seq,
                if is_promoted {
                    "; what is here now was sealed after a standby was promoted"
                } else {
                    ""
                }
            );
            self.find(
                What::TailLost,
                Some(left.number.saturating_add(1)),
                None,
                detail,
            );
        }
        Head {
            shard: self.shard,
            seal: end.number,
            epoch: end.epoch,
            last_seq: end.last_seq,
            rows: end.total,
            hash: digest::hex(&end.hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::audit::encoding::FORMAT;

    fn row(seq: i64) -> Entry {
        let id = Uuid::from_u128(seq.unsigned_abs().into());
        let columns = [Some(&b"x"[..])];
        Entry::of(Shard::Posting, seq, id, columns.into_iter())
    }

    /// Seals of these rows, each under an epoch.
    fn chain(seals: &[(i64, &[i64])]) -> Vec<Seal> {
        let (mut made, mut end) = (Vec::new(), START);
        for (epoch, rows) in seals {
            let mut entries = Vec::new();
            for seq in *rows {
                row(*seq).write(&mut entries);
            }
            let mut seal = Seal {
                number: end.number + 1,
                format: FORMAT,
                epoch: *epoch,
                after_seq: end.last_seq,
                last_seq: rows[rows.len() - 1],
                entries,
                total: end.total + i64::try_from(rows.len()).unwrap(),
                sealed_at_us: 1,
                previous: end.hash,
                hash: NOTHING,
            };
            seal.hash = seal.hash_of(Shard::Posting);
            end = End {
                number: seal.number,
                epoch: seal.epoch,
                last_seq: seal.last_seq,
                total: seal.total,
                hash: seal.hash,
            };
            made.push(seal);
        }
        made
    }

    fn usual() -> Vec<Seal> {
        chain(&[(1, &[1, 2, 5]), (1, &[6, 9]), (2, &[10, 11])])
    }

    const ROWS: [i64; 7] = [1, 2, 5, 6, 9, 10, 11];

    fn judged(seals: &[Seal], rows: &[Entry], known: &[Head]) -> (Vec<String>, Head) {
        let mut found = Vec::new();
        let mut judge = Judge::new(Shard::Posting, known, |finding: Finding| {
            let what = serde_json::to_value(finding.what).unwrap();
            let numbers = [finding.seal, finding.seq];
            let numbers = numbers.map(|it| it.map_or("-".to_owned(), |it| it.to_string()));
            found.push(format!("{} {}", what.as_str().unwrap(), numbers.join(" ")));
        });
        let mut rows = rows.iter().peekable();
        for seal in seals {
            judge.seal(seal);
            while let Some(row) = rows.next_if(|row| row.seq <= seal.last_seq) {
                judge.row(row);
            }
        }
        let head = judge.end();
        drop(judge);
        (found, head)
    }

    fn check<T: AsRef<str>>(seals: &[Seal], rows: &[Entry], expected: &[T]) {
        let expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
        assert_eq!(judged(seals, rows, &[]).0, expected);
    }

    /// The seal that has a row.
    fn seal_of(seq: i64) -> i64 {
        let seals = usual();
        let seal = seals.iter().find(|seal| seq <= seal.last_seq);
        seal.unwrap().number
    }

    fn all_rows() -> Vec<Entry> {
        ROWS.map(row).to_vec()
    }

    #[test]
    fn what_nobody_touched_has_no_finding_and_a_head() {
        let (found, head) = judged(&usual(), &all_rows(), &[]);
        assert_eq!(found, [""; 0]);
        assert_eq!((head.seal, head.rows, head.last_seq), (3, 7, 11));
        assert_eq!(judged(&usual(), &all_rows(), &[head]).0, [""; 0]);
        let (found, head) = judged(&[], &[], &[]);
        assert_eq!((found, head.seal), (Vec::new(), 0));
    }

    #[test]
    fn rows_that_are_changed_missing_inserted_or_exchanged_are_named() {
        let mut rows = all_rows();
        rows[1].hash[0] ^= 1;
        check(&usual(), &rows, &["row_changed 1 2"]);
        for gone in 0..ROWS.len() {
            let mut rows = all_rows();
            let seq = rows.remove(gone).seq;
            let seal = seal_of(seq);
            check(&usual(), &rows, &[format!("row_missing {seal} {seq}")]);
        }
        for (new, seal) in [(-3, 1), (3, 1), (8, 2)] {
            let mut rows = all_rows();
            rows.push(row(new));
            rows.sort_by_key(|row| row.seq);
            check(&usual(), &rows, &[format!("row_inserted {seal} {new}")]);
        }
        let mut rows = all_rows();
        (rows[2].id, rows[3].id) = (rows[3].id, rows[2].id);
        check(&usual(), &rows, &["row_changed 1 5", "row_changed 2 6"]);
        let all = ROWS.map(|seq| format!("row_missing {} {seq}", seal_of(seq)));
        check(&usual(), &[], &all);
    }

    #[test]
    fn seals_that_are_changed_missing_or_made_anew_are_named() {
        let mut seals = usual();
        seals[1].sealed_at_us += 1;
        check(&seals, &all_rows(), &["seal_changed 2 -"]);
        // With a hash that fits it, it does not fit the next.
        seals[1].hash = seals[1].hash_of(Shard::Posting);
        check(&seals, &all_rows(), &["seal_changed 3 -"]);
        let mut seals = usual();
        seals.remove(1);
        check(&seals, &all_rows(), &["seal_missing 2 -"]);
        let mut seals = usual();
        seals.remove(0);
        check(&seals, &all_rows(), &["seal_missing 1 -"]);
        // A row that was taken away with its entry, under a fitting hash.
        let mut seals = usual();
        seals[0].entries.truncate(56 * 2);
        seals[0].hash = seals[0].hash_of(Shard::Posting);
        let rows = [1, 2, 6, 9, 10, 11].map(row);
        check(&seals, &rows, &["seal_changed 1 -", "seal_changed 2 -"]);
    }

    #[test]
    fn a_head_that_was_kept_finds_a_chain_made_anew_and_an_end_that_was_cut() {
        let head = judged(&usual(), &all_rows(), &[]).1;
        let earlier = judged(&usual()[..1], &[1, 2, 5].map(row), &[]).1;
        let known = [earlier, head];
        let found = |seals: &[Seal], rows: &[i64]| {
            let rows: Vec<Entry> = rows.iter().copied().map(row).collect();
            judged(seals, &rows, &known).0
        };
        let anew = chain(&[(1, &[1, 2]), (1, &[6, 9]), (2, &[10, 11])]);
        let rows = [1, 2, 6, 9, 10, 11];
        assert_eq!(found(&anew, &rows), ["chain_rewritten 1 -"]);
        assert_eq!(found(&usual()[..1], &[1, 2, 5]), ["tail_lost 2 -"]);
        assert_eq!(found(&[], &[]), ["tail_lost 1 -"]);
        // A promotion lost the last seal, and another was made since.
        let promoted = chain(&[(1, &[1, 2, 5]), (1, &[6, 9]), (2 << 32, &[10, 12])]);
        assert_eq!(
            found(&promoted, &[1, 2, 5, 6, 9, 10, 12]),
            ["tail_lost 3 -"]
        );
        let longer = chain(&[
            (1, &[1, 2, 5]),
            (2 << 32, &[6]),
            (2 << 32, &[7]),
            (2 << 32, &[8]),
        ]);
        assert_eq!(found(&longer, &[1, 2, 5, 6, 7, 8]), ["tail_lost 2 -"]);
    }
}
