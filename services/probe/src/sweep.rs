//! No money is left behind: what was charged and not refunded is refunded.
//!
//! What a run of this process left is known, by its payment or at least by the key of its charge. What
//! other processes left is found by listing: the API lists payments by their time only, so pages are
//! read from the newest on, down to where the last look cannot have missed any.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use paymesh_contracts::{
    PaymentId,
    dispute::DisputeStatus,
    http::{AttemptKind, AttemptStatus, Payment, PaymentStatus},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    merchant::{Merchant, REFERENCE},
    meter::{self, Timed},
    step::Step,
    trouble::{Hope, Trouble, is_under_way},
};

/// How many pages of a hundred are looked at after a start: a week at a run a minute.
const PAGES_MAX: usize = 100;
/// How long after a look the next one begins. The next one reads all again that was younger at the
/// last: a payment that was committed late is found by its age.
const LOOK: Duration = Duration::from_hours(1);
/// How long a person is left alone with what only they can mend.
const PERSON: Duration = Duration::from_mins(10);
/// With more than this left, nothing is charged.
const LEFT_MAX: usize = 5;

/// What may be left of the payments of earlier runs.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// The keys of charges that may have been made, and when each is to be sent again. Their body is
    /// always the same.
    unknown: BTreeMap<String, Instant>,
    /// Payments that may not be refunded.
    left: BTreeMap<PaymentId, Rest>,
    /// When payments are to be listed again.
    look_due: Instant,
    /// Of this payment and those before it, all that is left is known.
    settled: Option<PaymentId>,
    /// Why the last sweep was given up: told once, however often it is met.
    trouble: Option<Trouble>,
}

/// A payment that may not be refunded.
#[derive(Clone, Copy, Debug)]
struct Rest {
    /// When it is to be looked at.
    due: Instant,
    /// What was left at the last look.
    left: Left,
}

/// What is left of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Nothing, or it is none of ours.
    Nothing,
    /// Its end is still to come.
    Open,
    /// Money, which we can give back.
    Money,
    /// Money, and asking for it again changes nothing until a person did something.
    Stuck,
    /// What its customer has taken back, or may have.
    Disputed,
}

impl Sweep {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        Self {
            unknown: BTreeMap::new(),
            left: BTreeMap::new(),
            look_due: Instant::now(),
            settled: None,
            trouble: None,
        }
    }

    /// A run that charged under this key may have left something behind.
    pub(crate) fn failed(&mut self, key: String, trouble: &Trouble) {
        match trouble.payment {
            Some(id) => self.keep(id, Instant::now()),
            None if trouble.may_be_done => {
                self.unknown.insert(key, Instant::now());
            }
            None => {}
        }
    }

    /// Why nothing is to be charged now.
    pub(crate) fn objection(&self) -> Option<Trouble> {
        let rests = self.left.values();
        let payments = rests.filter(|rest| rest.left != Left::Disputed).count();
        let unknown = self.unknown.len();
        if payments + unknown <= LEFT_MAX {
            return None;
        }
        let came = format!(
            "{payments} payments that are not refunded and {unknown} charges of which nothing is known, \
             so nothing is charged"
        );
        Some(match &self.trouble {
            None => Trouble::wrong(came),
            Some(met) => Trouble {
                came: format!("{came}; the sweep met {}", met.came),
                ..met.clone()
            },
        })
    }

    /// Refunds what is left, if anything may be. What is not refunded now is looked at again the next
    /// time.
    pub(crate) async fn run(&mut self, merchant: &Merchant, stop: &CancellationToken) {
        let now = Instant::now();
        let is_due = self.look_due <= now
            || self.unknown.values().any(|due| *due <= now)
            || self.left.values().any(|rest| rest.due <= now);
        if !is_due || stop.is_cancelled() {
            return;
        }
        let timed = Timed::begin(Step::Sweep, merchant.step_max());
        let known = self.ask_again(merchant, stop).await;
        let looked = self.look(merchant, stop).await;
        let refunded = self.refund(merchant, stop).await;
        match timed.end(known.and(looked).and(refunded)) {
            Ok(()) => self.trouble = None,
            Err(failure) => {
                if self.trouble.as_ref() != Some(&failure.trouble) {
                    failure.tell();
                }
                self.trouble = Some(failure.trouble);
            }
        }
    }

    /// Sends charges again whose outcome is not known, each under its key.
    async fn ask_again(
        &mut self,
        merchant: &Merchant,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let now = Instant::now();
        let due = self.unknown.iter().filter(|(_, due)| **due <= now);
        let due: Vec<String> = due.map(|(key, _)| key.clone()).collect();
        let mut refused = None;
        for key in due {
            if stop.is_cancelled() {
                break;
            }
            let asked = merchant.charge(&key, now_and(merchant.step_max())).await;
            let id = match &asked {
                Ok(payment) => Some(payment.id),
                Err(trouble) => trouble.payment,
            };
            match (id, asked) {
                (Some(id), _) => {
                    self.unknown.remove(&key);
                    self.keep(id, Instant::now());
                }
                (None, Err(trouble)) if trouble.status.is_some() => {
                    // A refusal now is no word on what was sent then, so the key stays.
                    if trouble.hope == Hope::Never {
                        self.unknown.insert(key, now_and(PERSON));
                    }
                    refused = refused.or(Some(trouble));
                }
                (None, asked) => return asked.map(drop),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Looks for what others left, from the newest payment on, if that is due.
    async fn look(&mut self, merchant: &Merchant, stop: &CancellationToken) -> Result<(), Trouble> {
        let begun = Instant::now();
        if self.look_due > begun {
            return Ok(());
        }
        let mut settled: Option<PaymentId> = None;
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            if stop.is_cancelled() {
                return Ok(());
            }
            // Each request has the time of a step: there may be many.
            let until = now_and(merchant.step_max());
            let page = merchant.payments(after.as_deref(), until).await?;
            for payment in &page.data {
                let age = age_of(payment);
                if settled.is_none() && age >= LOOK {
                    settled = Some(payment.id);
                }
                if left(payment) != Left::Nothing {
                    // Before that its own run, of a probe that is about to end, may refund it.
                    self.keep(payment.id, now_and(merchant.run_max().saturating_sub(age)));
                }
            }
            // The page that reaches so far is looked at as a whole: two clocks may differ.
            let oldest = page.data.last().map(|payment| payment.id);
            after = page.next;
            if oldest <= self.settled || after.is_none() {
                break;
            }
        }
        self.settled = self.settled.max(settled);
        self.look_due = begun + LOOK;
        Ok(())
    }

    /// Refunds what is due.
    async fn refund(
        &mut self,
        merchant: &Merchant,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let now = Instant::now();
        let due = self.left.iter().filter(|(_, rest)| rest.due <= now);
        let due: Vec<PaymentId> = due.map(|(id, _)| *id).collect();
        for id in due {
            if stop.is_cancelled() {
                break;
            }
            let payment = merchant.payment(id, now_and(merchant.step_max())).await?;
            match left(&payment) {
                Left::Nothing => {
                    self.left.remove(&id);
                }
                Left::Open => {}
                stuck @ (Left::Stuck | Left::Disputed) => {
                    self.leave(id, stuck, stuck_at(&payment));
                }
                Left::Money => match merchant.refund(id, now_and(merchant.step_max())).await {
                    Ok(_) => {
                        tracing::info!(payment = %id, "what was left is refunded");
                        self.left.remove(&id);
                    }
                    // Others may be refunded all the same.
                    Err(trouble) if trouble.hope == Hope::Never => {
                        self.leave(id, Left::Stuck, trouble);
                    }
                    Err(trouble) => return Err(trouble),
                },
            }
        }
        Ok(())
    }

    /// A payment is to be looked at, unless it is known already.
    fn keep(&mut self, id: PaymentId, due: Instant) {
        let left = Left::Open;
        self.left.entry(id).or_insert(Rest { due, left });
    }

    /// Leaves a payment to a person, who is told once.
    fn leave(&mut self, id: PaymentId, left: Left, trouble: Trouble) {
        let due = now_and(PERSON);
        let before = self.left.insert(id, Rest { due, left });
        if before.is_none_or(|before| before.left != left) {
            meter::failed(Step::Sweep, trouble).tell();
        }
    }
}

fn now_and(later: Duration) -> Instant {
    Instant::now() + later
}

/// How old a payment is. The clocks of two machines are compared; a time that cannot be read is long
/// ago, and one that is still to come is now.
fn age_of(payment: &Payment) -> Duration {
    let created_at: Result<Timestamp, _> = payment.created_at.parse();
    created_at.map_or(Duration::MAX, |created_at| {
        let age_ms = Timestamp::now().as_millisecond() - created_at.as_millisecond();
        Duration::from_millis(u64::try_from(age_ms).unwrap_or_default())
    })
}

/// What a person is told of a payment that they have to refund, or that is disputed.
fn stuck_at(payment: &Payment) -> Trouble {
    let refunds = payment.attempts.iter().rev();
    let mut refunds = refunds.filter(|one| one.kind == AttemptKind::Refund);
    let code = refunds.find_map(|one| one.failure_code.clone());
    let came = "a payment that the acquirer does not refund, or that is disputed";
    Trouble {
        code,
        ..Trouble::wrong(came).about(payment.id)
    }
}

/// What is left of a payment.
fn left(payment: &Payment) -> Left {
    if payment.reference.as_deref() != Some(REFERENCE) {
        return Left::Nothing;
    }
    let waits = [
        PaymentStatus::RequiresAction,
        PaymentStatus::RequiresCapture,
    ];
    if is_under_way(payment) || waits.contains(&payment.status) {
        return Left::Open;
    }
    if payment.captured.is_none() || payment.refunded == payment.captured {
        return Left::Nothing;
    }
    let mut attempts = payment.attempts.iter();
    let mut disputes = payment.disputes.iter();
    let is_declined = attempts
        .any(|one| one.kind == AttemptKind::Refund && one.status == AttemptStatus::Declined);
    if disputes.any(|one| one.status != DisputeStatus::Won) {
        Left::Disputed
    } else if is_declined {
        Left::Stuck
    } else {
        Left::Money
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, SocketAddr},
        sync::{
            Arc, Mutex,
            atomic::{AtomicBool, Ordering},
        },
    };

    use paymesh_contracts::{Code, Currency, Money};
    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::config::Probe;

    const ID: &str = "pay_abgjcfkhmnepabcdefghijklmnopabcd";

    /// An API that knows one payment, which is of the probe.
    struct Api {
        created_at: String,
        /// Whether the payment is committed.
        is_visible: AtomicBool,
        is_refunded: AtomicBool,
        /// What was asked for to move money: the path and the key.
        acts: Mutex<Vec<String>>,
    }

    impl Api {
        fn new(created_at: &str, is_visible: bool) -> Arc<Self> {
            Arc::new(Self {
                created_at: created_at.to_owned(),
                is_visible: AtomicBool::new(is_visible),
                is_refunded: AtomicBool::new(false),
                acts: Mutex::default(),
            })
        }

        fn acts(&self) -> Vec<String> {
            self.acts.lock().unwrap().clone()
        }

        fn payment(&self) -> Value {
            let mut payment = usual();
            payment["created_at"] = json!(self.created_at);
            if self.is_refunded.load(Ordering::SeqCst) {
                payment["refunded"] = payment["captured"].clone();
            }
            payment
        }

        fn answer(&self, request: &str) -> (u16, Value) {
            let mut words = request.split_whitespace();
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            if method == "POST" {
                let mut lines = request.lines();
                let key = lines.find_map(|line| line.strip_prefix("idempotency-key: "));
                let act = format!("{path} {}", key.unwrap());
                self.acts.lock().unwrap().push(act);
            }
            let is_visible = self.is_visible.load(Ordering::SeqCst);
            if path.starts_with("/v1/payments?") {
                let data = if is_visible {
                    vec![self.payment()]
                } else {
                    Vec::new()
                };
                return (200, json!({ "data": data }));
            }
            if !is_visible {
                let code = Code::KeyInFlight;
                let body = serde_json::to_value(code.body("req_a", None, None));
                return (code.status(), body.unwrap());
            }
            if path.ends_with("/refunds") {
                self.is_refunded.store(true, Ordering::SeqCst);
            }
            (200, self.payment())
        }

        /// The merchant of a probe that asks this.
        async fn serve(self: Arc<Self>) -> Merchant {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move {
                loop {
                    let (mut wire, _) = listener.accept().await.unwrap();
                    let request = request_of(&mut wire).await;
                    let (status, body) = self.answer(&request);
                    let body = body.to_string();
                    let answer = format!(
                        "HTTP/1.1 {status} Word\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    wire.write_all(answer.as_bytes()).await.unwrap();
                }
            });
            let health: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
            let settings = Probe {
                api: format!("http://{address}/").parse().unwrap(),
                tls: None,
                api_key: "sk_0".parse().unwrap(),
                payment_method: "tok_approve".to_owned(),
                amount: Money::new(100, Currency::Usd),
                every: Duration::from_mins(1),
                step_max: Duration::from_secs(10),
                health,
            };
            Merchant::new(settings).unwrap()
        }
    }

    /// The head of a request, of which all is read.
    async fn request_of(wire: &mut TcpStream) -> String {
        let mut wire = BufReader::new(wire);
        let (mut head, mut length) = (String::new(), 0_usize);
        loop {
            let mut line = String::new();
            wire.read_line(&mut line).await.unwrap();
            if let Some(told) = line.strip_prefix("content-length: ") {
                length = told.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head += &line;
        }
        let mut body = vec![0; length];
        wire.read_exact(&mut body).await.unwrap();
        head
    }

    #[tokio::test]
    async fn a_charge_that_is_seen_late_is_asked_for_again_under_its_key_and_refunded() {
        let now = Timestamp::now().to_string();
        let api = Api::new(&now, false);
        let merchant = api.clone().serve().await;
        let stop = CancellationToken::new();
        let mut sweep = Sweep::new();
        let lost = Trouble::lost("no answer in time");
        sweep.failed("probe-charge-a".to_owned(), &lost);

        sweep.run(&merchant, &stop).await;
        assert_eq!(sweep.unknown.len(), 1, "{sweep:?}");
        let charge = "/v1/payments probe-charge-a".to_owned();
        let acts = api.acts();
        assert!(acts.iter().all(|act| *act == charge), "{acts:?}");

        api.is_visible.store(true, Ordering::SeqCst);
        sweep.run(&merchant, &stop).await;
        let refund = format!("/v1/payments/{ID}/refunds probe-refund-{ID}");
        assert_eq!(api.acts()[acts.len()..], [charge, refund]);
        let is_clean = sweep.unknown.is_empty() && sweep.left.is_empty();
        assert!(is_clean, "{sweep:?}");
    }

    #[tokio::test]
    async fn what_another_probe_may_just_have_charged_is_left_until_its_run_is_over() {
        let stop = CancellationToken::new();
        let api = Api::new(&Timestamp::now().to_string(), true);
        let merchant = api.clone().serve().await;
        let mut sweep = Sweep::new();
        sweep.run(&merchant, &stop).await;
        assert!(api.acts().is_empty(), "{:?}", api.acts());
        let rest = sweep.left.values().next().unwrap();
        assert!(rest.due <= now_and(merchant.run_max()), "{sweep:?}");
        assert_eq!(sweep.settled, None, "what is young is looked at again");

        let api = Api::new("2026-11-21T05:00:00.000Z", true);
        let merchant = api.clone().serve().await;
        let mut sweep = Sweep::new();
        sweep.run(&merchant, &stop).await;
        assert!(sweep.left.is_empty(), "{sweep:?}");
        assert!(api.is_refunded.load(Ordering::SeqCst));
    }

    #[test]
    fn with_more_than_five_left_nothing_is_charged() {
        let mut sweep = Sweep::new();
        let lost = Trouble::lost("no answer in time");
        let failed = |sweep: &mut Sweep, one: usize| sweep.failed(format!("key-{one}"), &lost);
        for one in 0..LEFT_MAX {
            failed(&mut sweep, one);
        }
        assert_eq!(sweep.objection(), None);
        sweep.failed("refused".to_owned(), &Trouble::wrong("a refusal"));
        assert_eq!(sweep.objection(), None);
        let id: PaymentId = ID.parse().unwrap();
        sweep.leave(id, Left::Disputed, Trouble::wrong("a dispute"));
        assert_eq!(sweep.objection(), None, "no refund ends a dispute");
        sweep.leave(id, Left::Stuck, Trouble::wrong("a refusal"));
        let objection = sweep.objection().unwrap();
        assert!(objection.came.ends_with("so nothing is charged"));
        assert!(
            sweep.left[&id].due > now_and(PERSON / 2),
            "asked again at once"
        );
    }

    fn attempt(kind: &str, status: &str) -> Value {
        let id = "att_abgjcfkhmnepabcdefghijklmnopabcd";
        json!({ "id": id, "kind": kind, "status": status })
    }

    /// A payment of the probe that is not refunded.
    fn usual() -> Value {
        json!({
            "id": ID,
            "amount": { "amount": 100, "currency": "USD" },
            "status": "succeeded",
            "payment_method": "tok_approve",
            "reference": "synthetic probe",
            "captured": { "amount": 100, "currency": "USD" },
            "attempts": [attempt("charge", "approved")],
            "created_at": "2026-11-21T05:00:00.000Z",
            "updated_at": "2026-11-21T05:00:00.120Z",
        })
    }

    /// What is left of a payment of the probe that is otherwise as `members` say.
    fn left_of(members: &Value) -> Left {
        let mut payment = usual();
        for (name, member) in members.as_object().unwrap() {
            payment[name] = member.clone();
        }
        left(&serde_json::from_value(payment).unwrap())
    }

    fn check(members: &Value, expected: Left) {
        assert_eq!(left_of(members), expected, "{members}");
    }

    #[test]
    fn only_what_the_probe_charged_and_did_not_refund_is_left() {
        check(&json!({}), Left::Money);
        let part = json!({ "amount": 40, "currency": "USD" });
        check(&json!({ "refunded": part }), Left::Money);
        let whole = json!({ "amount": 100, "currency": "USD" });
        check(&json!({ "refunded": whole }), Left::Nothing);
        check(
            &json!({ "status": "failed", "captured": null, "attempts": [attempt("charge", "declined")] }),
            Left::Nothing,
        );
    }

    #[test]
    fn a_payment_of_somebody_else_is_never_touched() {
        for reference in [json!("synthetic probes"), json!("order-7"), Value::Null] {
            check(&json!({ "reference": reference }), Left::Nothing);
        }
    }

    #[test]
    fn what_is_on_its_way_is_looked_at_again() {
        for status in ["pending", "unknown"] {
            let attempts = [attempt("charge", status)];
            check(
                &json!({ "status": "processing", "captured": null, "attempts": attempts }),
                Left::Open,
            );
            let attempts = [attempt("charge", "approved"), attempt("refund", status)];
            check(&json!({ "attempts": attempts }), Left::Open);
        }
        let attempts = [attempt("charge", "requires_action")];
        check(
            &json!({ "status": "requires_action", "captured": null, "attempts": attempts }),
            Left::Open,
        );
    }

    #[test]
    fn what_asking_again_does_not_change_is_left_to_a_person() {
        let attempts = [attempt("charge", "approved"), attempt("refund", "declined")];
        check(&json!({ "attempts": attempts }), Left::Stuck);
        let dispute = |status: &str| {
            json!({ "disputes": [{
                "id": "dsp_abgjcfkhmnepabcdefghijklmnopabcd",
                "amount": { "amount": 100, "currency": "USD" },
                "reason": "fraudulent",
                "status": status,
                "opened_at": "2026-11-21T05:00:00.000Z",
            }] })
        };
        check(&dispute("lost"), Left::Disputed);
        check(&dispute("won"), Left::Money);
    }
}
