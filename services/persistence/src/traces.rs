//! What a trace tells of a command: its name, and the ids of what it is about.

use paymesh_operations::{Place, Span, SpanKind};

use crate::command::Command;

/// A span of whoever asked for a command.
pub(crate) fn begin(command: &Command) -> Span {
    let span = Span::of(&Place::current(), SpanKind::Server, word(command));
    match command {
        Command::CreatePayment(create) | Command::Adopt(create) => {
            span.id("paymesh.payment", &create.payment_id);
        }
        Command::Act(act) | Command::AdoptAct(act) => {
            span.id("paymesh.payment", &act.payment_id);
            span.word("paymesh.attempt.kind", act.kind.word());
        }
        Command::Confirm(_, payment_id) => span.id("paymesh.payment", payment_id),
        Command::Complete(complete) => span.id("paymesh.message", &complete.message_id),
        Command::Hear(notice) => span.id("paymesh.payment", &notice.payment_id),
        // A key is the merchant's own word.
        Command::SettleAnswer(_) => {}
    }
    span
}

fn word(command: &Command) -> &'static str {
    match command {
        Command::CreatePayment(_) => "create payment",
        Command::Adopt(_) => "adopt payment",
        Command::Act(_) => "act",
        Command::AdoptAct(_) => "adopt act",
        Command::Confirm(..) => "confirm",
        Command::SettleAnswer(_) => "settle answer",
        Command::Complete(_) => "complete",
        Command::Hear(_) => "hear dispute",
    }
}
