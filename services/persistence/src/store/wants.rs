//! What a group of commands names, and so what has to be loaded for it.

use std::collections::BTreeSet;

use paymesh_contracts::{Currency, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    command::{Command, Effect, Key},
    ledger::AccountId,
};

/// What the commands of a group name, and what belongs to it.
#[derive(Default)]
pub(super) struct Wants {
    pub(super) messages: Vec<Uuid>,
    pub(super) payment_messages: Vec<Uuid>,
    pub(super) verdicts: Vec<Uuid>,
    pub(super) payments: Vec<Uuid>,
    pub(super) key_tenants: Vec<Uuid>,
    pub(super) keys: Vec<String>,
    pub(super) settle_tenants: Vec<Uuid>,
    pub(super) settle_keys: Vec<String>,
    pub(super) tenants: Vec<Uuid>,
    pub(super) accounts: Vec<Uuid>,
}

impl Wants {
    pub(super) fn of(commands: &[&Command]) -> Self {
        let mut wants = Self::default();
        for command in commands {
            match command {
                Command::CreatePayment(create) => wants.key(&create.request.key),
                Command::Adopt(create) => {
                    wants.key(&create.request.key);
                    wants.tenants.push(create.request.key.0.0);
                }
                Command::Act(act) | Command::AdoptAct(act) => {
                    wants.key(&act.request.key);
                    wants.payments.push(act.payment_id.0);
                }
                Command::Hear(notice) => {
                    wants.payments.push(notice.payment_id.0);
                    wants.tenants.push(notice.tenant_id.0);
                }
                Command::Confirm(_, payment_id) => wants.payments.push(payment_id.0),
                Command::SettleAnswer(key) => {
                    wants.key(key);
                    wants.settle_tenants.push(key.0.0);
                    wants.settle_keys.push(key.1.clone());
                }
                Command::Complete(complete) => {
                    let id = complete.message_id.0;
                    wants.messages.push(id);
                    match complete.effect {
                        Effect::WebhookTried { .. } | Effect::CannotHandle { .. } => {}
                        Effect::Unknown { .. } | Effect::ActionRequired { .. } => {
                            wants.payment_messages.push(id);
                        }
                        Effect::Approved { .. } | Effect::Declined { .. } | Effect::Expired => {
                            wants.payment_messages.push(id);
                            wants.verdicts.push(id);
                        }
                    }
                }
            }
        }
        wants
    }

    /// Whether the group is about payments that are there already.
    pub(super) fn has_payments(&self) -> bool {
        let names = [&self.payment_messages, &self.payments, &self.settle_tenants];
        names.iter().any(|ids| !ids.is_empty())
    }

    /// Adds what belongs to the payments that the group is about: rows of message (if it is named by
    /// one), payment, tenant, currency, and the key that the message is to answer.
    pub(super) fn belonging(&mut self, rows: &[Row]) {
        let named: BTreeSet<Uuid> = self.payments.drain(..).collect();
        let verdicts: BTreeSet<Uuid> = self.verdicts.iter().copied().collect();
        let mut booked: BTreeSet<(TenantId, Currency)> = BTreeSet::new();
        for row in rows {
            let (payment, tenant): (Uuid, Uuid) = (row.get(1), row.get(2));
            self.payments.push(payment);
            let message: Option<Uuid> = row.get(0);
            if message.is_some() {
                self.tenants.push(tenant);
            }
            if let Some(key) = row.get(4) {
                self.key_tenants.push(tenant);
                self.keys.push(key);
            }
            let is_booked =
                message.map_or_else(|| named.contains(&payment), |id| verdicts.contains(&id));
            // A currency that this version does not know makes the payment count as absent.
            if let (true, Ok(currency)) = (is_booked, row.get::<_, &str>(3).parse()) {
                booked.insert((TenantId(tenant), currency));
            }
        }
        self.accounts = booked.iter().flat_map(AccountId::all).collect();
        for ids in [&mut self.payments, &mut self.tenants] {
            ids.sort_unstable();
            ids.dedup();
        }
    }

    fn key(&mut self, key: &Key) {
        self.key_tenants.push(key.0.0);
        self.keys.push(key.1.clone());
    }
}
