//! What a group of commands names, and so what has to be loaded for it.

use uuid::Uuid;

use crate::command::{Command, Effect, Key};

/// What the commands of a group name.
#[derive(Default)]
pub(super) struct Wants {
    pub(super) lease_consumers: Vec<&'static str>,
    pub(super) lease_partitions: Vec<i16>,
    pub(super) messages: Vec<Uuid>,
    pub(super) payment_messages: Vec<Uuid>,
    pub(super) verdicts: Vec<Uuid>,
    pub(super) payments: Vec<Uuid>,
    pub(super) key_tenants: Vec<Uuid>,
    pub(super) keys: Vec<String>,
    pub(super) settle_tenants: Vec<Uuid>,
    pub(super) settle_keys: Vec<String>,
    pub(super) tenants: Vec<Uuid>,
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
                    let lease = (complete.lease.consumer.word(), complete.lease.partition);
                    if !wants
                        .lease_consumers
                        .iter()
                        .copied()
                        .zip(wants.lease_partitions.iter().copied())
                        .any(|known| known == lease)
                    {
                        wants.lease_consumers.push(lease.0);
                        wants.lease_partitions.push(lease.1);
                    }
                }
            }
        }
        wants
    }

    fn key(&mut self, key: &Key) {
        self.key_tenants.push(key.0.0);
        self.keys.push(key.1.clone());
    }
}
