//! One transaction for a group of commands: lock and load, decide, write, commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use paymesh_contracts::MessageId;
use uuid::Uuid;

use super::{
    connection::{Connection, Failure},
    database::Database,
    load::{self, Loads},
    messages::Due,
    statements::Writes,
    write::Group,
};
use crate::{
    command::{Command, Consumer, Outcome},
    decide::{Decider, TimeOrderedIds},
    defect::Defects,
    ledger::{AccountId, Booking},
    world::{Changes, MessageRow, Settled},
};

/// A command, and where it is in a trace.
pub(crate) type Placed<'a> = (&'a Command, Option<String>);

/// A connection with every statement of a group prepared.
pub struct Session {
    connection: Connection,
    loads: Loads,
    writes: Writes,
    defects: Defects,
}

/// What a committed group did.
#[derive(Debug, Default)]
pub struct Done {
    /// What came of each command, in order.
    pub outcomes: Vec<Outcome>,
    /// Attempts that were settled.
    pub settled: Vec<Settled>,
    /// Messages that took effect, or could not be handled: nobody works on them any more.
    pub completed: Vec<MessageId>,
    /// How many messages for the acquirer it left that are due.
    pub attempts_left: usize,
    /// How many such messages came to their end.
    pub attempts_ended: usize,
    /// Charges it left that are due, whole: whoever hands them out need not look.
    pub charges: Arc<[Due]>,
    /// Who has new messages beside these.
    pub woken: Vec<Consumer>,
}

impl Session {
    /// Connects and prepares.
    pub async fn open(database: &Database, defects: Defects) -> Result<Self, Failure> {
        let connection = Connection::enter_by_index(database).await?;
        Ok(Self {
            loads: Loads::prepare(&connection.client).await?,
            writes: Writes::default(),
            connection,
            defects,
        })
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.connection.client.is_closed()
    }

    /// Does a group of commands, each with its place in a trace if it has one. An error means that
    /// nothing of it was done, except after [`Failure::Disconnected`], when it may have been done.
    pub async fn run(&self, commands: &[Placed<'_>]) -> Result<Done, Failure> {
        let client = &self.connection.client;
        // A payment that is new locks nothing, and one statement is a transaction by itself.
        let is_new = |(command, _): &Placed<'_>| matches!(command, Command::CreatePayment(_));
        let in_transaction = !commands.iter().all(is_new);
        let result = Box::pin(self.attempt(commands, in_transaction)).await;
        if let (true, Err(Failure::Conflict(_) | Failure::Refused(_))) = (in_transaction, &result) {
            client.batch_execute("rollback").await?;
        }
        result
    }

    /// Books a group of charges and nothing else, on payments that are there; says of each whether
    /// it was booked. No command does this: it is what the benchmark of bare postings measures of a
    /// group, with the statements, locks and checks of every other.
    #[doc(hidden)]
    pub async fn book(&self, bookings: &[Booking]) -> Result<Vec<bool>, Failure> {
        let client = &self.connection.client;
        let result = Box::pin(self.attempt_to_book(bookings)).await;
        if let Err(Failure::Conflict(_) | Failure::Refused(_)) = &result {
            client.batch_execute("rollback").await?;
        }
        result
    }

    async fn attempt_to_book(&self, bookings: &[Booking]) -> Result<Vec<bool>, Failure> {
        let client = &self.connection.client;
        let ledgers: BTreeSet<_> = bookings.iter().map(Booking::ledger).collect();
        let accounts: Vec<Uuid> = ledgers.iter().flat_map(AccountId::all).collect();
        let tenants: Vec<Uuid> = ledgers.iter().map(|(tenant, _)| tenant.0).collect();
        let mut world = load::accounts(client, &self.loads, &accounts, &tenants).await?;
        let mut changes = Changes::default();
        let booked: Vec<bool> = {
            let mut decider = Decider {
                world: &mut world,
                changes: &mut changes,
                ids: &mut TimeOrderedIds,
                defects: self.defects,
            };
            let book = |booking: &Booking| {
                let terms = decider.world.tenants.get(&booking.tenant_id)?;
                let postings = booking.charge(terms.fee_basis_points);
                decider.book(BTreeMap::new(), postings).ok()
            };
            let done = bookings.iter().map(book);
            done.map(|done| done.is_some()).collect()
        };
        let group = Group {
            world: &world,
            changes: &changes,
            traces: &[],
            defects: self.defects,
        };
        Box::pin(group.commit(client, &self.writes, true)).await?;
        Ok(booked)
    }

    async fn attempt(&self, placed: &[Placed<'_>], in_transaction: bool) -> Result<Done, Failure> {
        let client = &self.connection.client;
        let commands: Vec<&Command> = placed.iter().map(|(command, _)| *command).collect();
        let mut world = load::world(client, &self.loads, &commands, in_transaction).await?;
        let mut changes = Changes::default();
        // What is decided knows nothing of traces: a message belongs to the command that left it.
        let mut traces: Vec<Option<&str>> = Vec::new();
        let outcomes = {
            let mut decider = Decider {
                world: &mut world,
                changes: &mut changes,
                ids: &mut TimeOrderedIds,
                defects: self.defects,
            };
            let mut outcomes = Vec::with_capacity(placed.len());
            for (command, trace) in placed {
                outcomes.push(decider.decide(command));
                traces.resize(decider.changes.messages.len(), trace.as_deref());
            }
            outcomes
        };
        let group = Group {
            world: &world,
            changes: &changes,
            traces: &traces,
            defects: self.defects,
        };
        Box::pin(group.commit(client, &self.writes, in_transaction)).await?;
        let (mut due, mut woken) = (Vec::new(), Vec::new());
        for ((id, message), trace) in changes.messages.iter().zip(&traces) {
            match Due::charge(&world, *id, message, *trace) {
                Some(charge) => due.push(charge),
                None => woken.push(message.consumer),
            }
        }
        woken.sort_unstable();
        woken.dedup();
        let for_acquirer = |message: &MessageRow| matches!(message.consumer, Consumer::Attempts);
        let is_left =
            |message: &MessageRow| for_acquirer(message) && message.available_at_ms <= world.now_ms;
        let attempts_left = changes
            .messages
            .iter()
            .filter(|(_, row)| is_left(row))
            .count();
        let ended = changes.completed.iter().map(|(_, message, _)| message);
        let attempts_ended = ended.filter(|row| for_acquirer(row)).count();
        let taken = changes.completed.into_iter().map(|row| row.0);
        let set_back = changes.setbacks.into_iter().map(|row| row.message_id);
        Ok(Done {
            outcomes,
            settled: changes.settled,
            completed: taken.chain(set_back).collect(),
            attempts_left,
            attempts_ended,
            charges: due.into(),
            woken,
        })
    }
}
