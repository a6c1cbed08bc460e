//! Faults: what is done to whom, in which order.

use std::{collections::BTreeMap, fmt, io, time::Duration};

use paymesh_beds::Flow;
use rustix::process::Signal;

use super::load::mixed;
use crate::stack::{Bus, Member, Stack, Wire};

/// How long a process is away before it is started again.
const AWAY: Duration = Duration::from_millis(500);
/// How long everything else lasts: longer than the acquirer's time to answer.
const LASTS: Duration = Duration::from_millis(3_500);
/// How long a broker stands still: until the others have taken it for gone and lead in its place.
const BROKER_LASTS: Duration = Duration::from_secs(8);
/// How many brokers there are.
const BROKERS: usize = 3;
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
    /// A broker of Kafka is killed and started again.
    BrokerKill,
    /// A broker stands still.
    BrokerStop,
    /// No service reaches a broker, which the other brokers reach.
    BrokerPartition,
}

impl Kind {
    /// All of them; the last three need Kafka.
    const ALL: [Self; 9] = [
        Self::Kill,
        Self::Stop,
        Self::Partition,
        Self::OneWay,
        Self::Slow,
        Self::HostLoss,
        Self::BrokerKill,
        Self::BrokerStop,
        Self::BrokerPartition,
    ];

    /// Those that can happen where messages go over this bus.
    pub fn of(bus: Bus) -> Vec<Self> {
        let has_brokers = bus == Bus::Kafka;
        let can_happen = |kind: &Self| has_brokers || *kind < Self::BrokerKill;
        Self::ALL.into_iter().filter(can_happen).collect()
    }
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
    KillBroker(usize),
    StopBroker(usize),
    CutBroker(usize),
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
            Self::KillBroker(number) => write!(out, "kill of broker {number}"),
            Self::StopBroker(number) => write!(out, "broker {number} stands still"),
            Self::CutBroker(number) => write!(out, "broker {number} is cut off"),
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
            Self::KillBroker(_) => Kind::BrokerKill,
            Self::StopBroker(_) => Kind::BrokerStop,
            Self::CutBroker(_) => Kind::BrokerPartition,
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
            Kind::BrokerKill => (1..=BROKERS).map(Self::KillBroker).collect(),
            Kind::BrokerStop => (1..=BROKERS).map(Self::StopBroker).collect(),
            Kind::BrokerPartition => (1..=BROKERS).map(Self::CutBroker).collect(),
        }
    }
}

/// `count` faults: each kind in turn, each with its targets in turn, until every pair occurred;
/// then kinds in turn again.
pub(super) fn order(count: usize, seed: u64, bus: Bus) -> Vec<Fault> {
    let kinds = Kind::of(bus);
    let mut pairs: BTreeMap<Kind, Vec<Fault>> = BTreeMap::new();
    for (number, kind) in kinds.iter().enumerate() {
        let mut of_kind = Fault::pairs(*kind);
        let turn = mixed(seed, number as u64) % of_kind.len() as u64;
        let turn = usize::try_from(turn).unwrap_or_default();
        of_kind.rotate_left(turn);
        pairs.insert(*kind, of_kind);
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
        let rarest = kinds.iter().copied().min_by_key(|kind| times(*kind));
        let rarest = rarest.unwrap_or(Kind::Kill);
        let of_kind = &pairs[&rarest];
        faults.push(of_kind[times(rarest) % of_kind.len()]);
    }
    faults.truncate(count);
    faults
}

/// Lets a fault happen and heals it.
pub(super) async fn happen(stack: &mut Stack, fault: Fault) -> io::Result<()> {
    let cut = |stack: &Stack, wire, there: bool, back: bool| {
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
        Fault::KillBroker(_) | Fault::StopBroker(_) | Fault::CutBroker(_) => {
            happen_to_broker(stack, fault).await?;
            // Two brokers away at once are more than records are promised to survive.
            return tokio::task::block_in_place(|| stack.wait_until_in_sync());
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
        _ => {}
    }
    Ok(())
}

async fn happen_to_broker(stack: &mut Stack, fault: Fault) -> io::Result<()> {
    let Some(kafka) = &mut stack.kafka else {
        return Err(io::Error::other(format!("{fault}: there is no Kafka")));
    };
    match fault {
        Fault::KillBroker(number) => {
            let broker = kafka.broker(number);
            broker.kill();
            tokio::time::sleep(AWAY).await;
            broker.launch().map_err(io::Error::other)?;
            return tokio::task::block_in_place(|| broker.wait()).map_err(io::Error::other);
        }
        Fault::StopBroker(number) => {
            kafka.broker(number).signal(Signal::STOP);
            tokio::time::sleep(BROKER_LASTS).await;
            kafka.broker(number).signal(Signal::CONT);
        }
        Fault::CutBroker(number) => {
            kafka.broker(number).set_wire(Flow::Cut, Flow::Cut);
            tokio::time::sleep(LASTS).await;
            kafka.broker(number).set_wire(Flow::Open, Flow::Open);
        }
        _ => {}
    }
    Ok(())
}

fn flow(is_cut: bool) -> Flow {
    if is_cut { Flow::Cut } else { Flow::Open }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(faults: &[Fault], kind: Kind) -> usize {
        faults.iter().filter(|fault| fault.kind() == kind).count()
    }

    #[test]
    fn six_faults_are_one_of_each_kind_and_forty_are_every_pair_and_each_kind_five_times() {
        let kinds = Kind::of(Bus::Embedded);
        for seed in 0..20 {
            let few = order(6, seed, Bus::Embedded);
            assert!(kinds.iter().all(|kind| times(&few, *kind) == 1), "{few:?}");
            let many = order(40, seed, Bus::Embedded);
            assert_eq!(many.len(), 40);
            assert!(
                kinds.iter().all(|kind| times(&many, *kind) >= 5),
                "{many:?}"
            );
            for pair in kinds.iter().flat_map(|kind| Fault::pairs(*kind)) {
                assert!(many.contains(&pair), "{pair}");
            }
        }
    }

    #[test]
    fn ten_faults_over_kafka_are_each_kind_and_those_of_brokers_among_them() {
        for seed in 0..20 {
            let few = order(10, seed, Bus::Kafka);
            for kind in Kind::of(Bus::Kafka) {
                assert!((1..=2).contains(&times(&few, kind)), "{few:?}");
            }
        }
        assert_eq!(
            Kind::of(Bus::Kafka).len(),
            Kind::of(Bus::Embedded).len() + 3
        );
    }

    #[test]
    fn of_many_faults_every_target_of_a_kind_has_its_share() {
        let many = order(160, 7, Bus::Kafka);
        for kind in Kind::of(Bus::Kafka) {
            let targets = Fault::pairs(kind);
            let share = times(&many, kind) / targets.len();
            for target in targets {
                let had = many.iter().filter(|fault| **fault == target).count();
                assert!((share..=share + 1).contains(&had), "{target}: {had}");
            }
        }
    }
}
