//! Faults: what is done to whom, in which order.

use std::{collections::BTreeMap, fmt, io, time::Duration};

use paymesh_beds::Flow;
use rustix::process::Signal;

use super::load::mixed;
use crate::stack::{Member, Stack, Wire};

/// How long a process is away before it is started again.
const AWAY: Duration = Duration::from_millis(500);
/// How long everything else lasts: longer than the acquirer's time to answer.
const LASTS: Duration = Duration::from_millis(3_500);
/// How much later each piece arrives on a slow wire.
const LATER: Duration = Duration::from_millis(300);

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A process is killed and started again.
    Kill,
    /// A process stands still.
    Stop,
    /// A wire carries nothing.
    Partition,
    /// A wire carries nothing one way.
    OneWay,
    /// A wire is slow.
    Slow,
    /// The primary's host is lost with all it held.
    HostLoss,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Kill,
        Self::Stop,
        Self::Partition,
        Self::OneWay,
        Self::Slow,
        Self::HostLoss,
    ];
}

/// A fault with its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Kill(Member),
    Stop(Member),
    Cut(Wire),
    CutThere(Wire),
    CutBack(Wire),
    Slow(Wire),
    HostLoss,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(member) => write!(out, "kill of {}", member.program()),
            Self::Stop(member) => write!(out, "{} stands still", member.program()),
            Self::Cut(wire) => write!(out, "{wire:?} is cut"),
            Self::CutThere(wire) => write!(out, "{wire:?} is cut there"),
            Self::CutBack(wire) => write!(out, "{wire:?} is cut back"),
            Self::Slow(wire) => write!(out, "{wire:?} is slow"),
            Self::HostLoss => write!(out, "loss of the primary's host"),
        }
    }
}

impl Fault {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Kill(_) => Kind::Kill,
            Self::Stop(_) => Kind::Stop,
            Self::Cut(_) => Kind::Partition,
            Self::CutThere(_) | Self::CutBack(_) => Kind::OneWay,
            Self::Slow(_) => Kind::Slow,
            Self::HostLoss => Kind::HostLoss,
        }
    }

    /// Every sensible pair of a kind and a target. A database that stands still is what its cut
    /// wire looks like from everywhere else.
    fn pairs(kind: Kind) -> Vec<Self> {
        let services = Member::ALL.into_iter();
        let services = services.filter(|member| *member != Member::Postgres);
        let wires = Wire::ALL.into_iter();
        match kind {
            Kind::Kill => Member::ALL.into_iter().map(Self::Kill).collect(),
            Kind::Stop => services.map(Self::Stop).collect(),
            Kind::Partition => wires.map(Self::Cut).collect(),
            Kind::OneWay => wires
                .flat_map(|wire| [Self::CutThere(wire), Self::CutBack(wire)])
                .collect(),
            Kind::Slow => wires.map(Self::Slow).collect(),
            Kind::HostLoss => vec![Self::HostLoss],
        }
    }
}

/// `count` faults: each kind in turn, each with its targets in turn, until every pair occurred;
/// then kinds in turn again.
pub(super) fn order(count: usize, seed: u64) -> Vec<Fault> {
    let mut pairs: BTreeMap<Kind, Vec<Fault>> = BTreeMap::new();
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let mut of_kind = Fault::pairs(kind);
        let turn = mixed(seed, number as u64) % of_kind.len() as u64;
        let turn = usize::try_from(turn).unwrap_or_default();
        of_kind.rotate_left(turn);
        pairs.insert(kind, of_kind);
    }
    let rounds = pairs.values().map(Vec::len).max().unwrap_or_default();
    let mut faults: Vec<Fault> = (0..rounds)
        .flat_map(|round| {
            let in_round = pairs
                .values()
                .map(move |of_kind| of_kind.get(round).copied());
            in_round.flatten().collect::<Vec<_>>()
        })
        .collect();
    while faults.len() < count {
        let times = |kind| faults.iter().filter(|fault| fault.kind() == kind).count();
        let rarest = Kind::ALL.into_iter().min_by_key(|kind| times(*kind));
        let of_kind = &pairs[&rarest.unwrap_or(Kind::Kill)];
        faults.push(of_kind[faults.len() % of_kind.len()]);
    }
    faults.truncate(count);
    faults
}

/// Lets a fault happen and heals it.
pub(super) async fn happen(stack: &mut Stack, fault: Fault) -> io::Result<()> {
    let cut = |stack: &Stack, wire, there: bool, back: bool| {
        let flow = |is_cut| if is_cut { Flow::Cut } else { Flow::Open };
        stack.set_wire(wire, flow(there), flow(back));
    };
    match fault {
        Fault::Kill(member) => {
            stack.kill(member);
            tokio::time::sleep(AWAY).await;
            return tokio::task::block_in_place(|| stack.restart(member));
        }
        Fault::HostLoss => {
            return tokio::task::block_in_place(|| {
                stack.lose_primary()?;
                stack.replace_lost()
            });
        }
        Fault::Stop(member) => stack.signal(member, Signal::STOP),
        Fault::Cut(wire) => cut(stack, wire, true, true),
        Fault::CutThere(wire) => cut(stack, wire, true, false),
        Fault::CutBack(wire) => cut(stack, wire, false, true),
        Fault::Slow(wire) => stack.set_wire(wire, Flow::Slow(LATER), Flow::Slow(LATER)),
    }
    tokio::time::sleep(LASTS).await;
    match fault {
        Fault::Stop(member) => stack.signal(member, Signal::CONT),
        Fault::Cut(wire) | Fault::CutThere(wire) | Fault::CutBack(wire) | Fault::Slow(wire) => {
            stack.set_wire(wire, Flow::Open, Flow::Open);
        }
        Fault::Kill(_) | Fault::HostLoss => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_faults_are_one_of_each_kind_and_forty_are_every_pair_and_each_kind_five_times() {
        for seed in 0..20 {
            let times =
                |faults: &[Fault], kind| faults.iter().filter(|fault| fault.kind() == kind).count();
            let few = order(6, seed);
            assert!(
                Kind::ALL.iter().all(|kind| times(&few, *kind) == 1),
                "{few:?}"
            );
            let many = order(40, seed);
            assert_eq!(many.len(), 40);
            assert!(
                Kind::ALL.iter().all(|kind| times(&many, *kind) >= 5),
                "{many:?}"
            );
            for pair in Kind::ALL.into_iter().flat_map(Fault::pairs) {
                assert!(many.contains(&pair), "{pair}");
            }
        }
    }
}
