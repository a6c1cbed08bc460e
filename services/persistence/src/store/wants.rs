//! What a group of commands names, and so what has to be loaded for it.

use std::collections::BTreeSet;

use paymesh_contracts::{Currency, PaymentId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    command::{About, Command, Complete, Effect, Key},
    ledger::AccountId,
};

/// What the commands of a group name, and what belongs to it.
#[derive(Default)]
pub(super) struct Wants {
    pub(super) messages: Vec<Uuid>,
    /// Messages of which it has to be asked what they are about.
    pub(super) payment_messages: Vec<Uuid>,
    /// Those of them whose end is booked.
    booked_messages: BTreeSet<Uuid>,
    /// Payments that commands name.
    pub(super) named: BTreeSet<Uuid>,
    pub(super) payments: Vec<Uuid>,
    pub(super) key_tenants: Vec<Uuid>,
    pub(super) keys: Vec<String>,
    pub(super) settle_tenants: Vec<Uuid>,
    pub(super) settle_keys: Vec<String>,
    pub(super) tenants: Vec<Uuid>,
    booked: BTreeSet<(TenantId, Currency)>,
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
                    wants.named.insert(act.payment_id.0);
                }
                Command::Hear(notice) => {
                    wants.named.insert(notice.payment_id.0);
                    wants.tenants.push(notice.tenant_id.0);
                }
                Command::Confirm(_, payment_id) => {
                    wants.named.insert(payment_id.0);
                }
                Command::SettleAnswer(key) => {
                    wants.key(key);
                    wants.settle_tenants.push(key.0.0);
                    wants.settle_keys.push(key.1.clone());
                }
                Command::Complete(complete) => wants.complete(complete),
            }
        }
        wants
    }

    fn complete(&mut self, complete: &Complete) {
        let id = complete.message_id.0;
        self.messages.push(id);
        let is_booked = match complete.effect {
            Effect::WebhookTried { .. } | Effect::CannotHandle { .. } => return,
            Effect::Unknown { .. } | Effect::ActionRequired { .. } => false,
            Effect::Approved { .. } | Effect::Declined { .. } | Effect::Expired => true,
        };
        if let Some(about) = &complete.about {
            self.tenants.push(about.tenant_id.0);
            self.belongs(about, is_booked);
            return;
        }
        self.payment_messages.push(id);
        if is_booked {
            self.booked_messages.insert(id);
        }
    }

    /// Whether it has to be asked what belongs to payments that are there already.
    pub(super) fn asks(&self) -> bool {
        !(self.payment_messages.is_empty()
            && self.named.is_empty()
            && self.settle_tenants.is_empty())
    }

    /// Adds what belongs to the payments that were asked for: rows of message (if it is named by one),
    /// payment, tenant, currency, and the key that the message is to answer.
    pub(super) fn belonging(&mut self, rows: &[Row]) {
        for row in rows {
            let about = About {
                payment_id: PaymentId(row.get(1)),
                tenant_id: TenantId(row.get(2)),
                currency: row.get::<_, &str>(3).parse().ok(),
                key: row.get(4),
            };
            let is_booked = match row.get::<_, Option<Uuid>>(0) {
                Some(message) => {
                    self.tenants.push(about.tenant_id.0);
                    self.booked_messages.contains(&message)
                }
                None => self.named.contains(&about.payment_id.0),
            };
            self.belongs(&about, is_booked);
        }
    }

    fn belongs(&mut self, about: &About, is_booked: bool) {
        self.payments.push(about.payment_id.0);
        if let Some(key) = &about.key {
            self.key(&(about.tenant_id, key.clone()));
        }
        if let (true, Some(currency)) = (is_booked, about.currency) {
            self.booked.insert((about.tenant_id, currency));
        }
    }

    /// The accounts of all that is booked.
    pub(super) fn accounts(&self) -> Vec<Uuid> {
        self.booked.iter().flat_map(AccountId::all).collect()
    }

    pub(super) fn dedup(&mut self) {
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
