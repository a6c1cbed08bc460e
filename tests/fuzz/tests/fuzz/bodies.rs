//! Bodies of what exists, as both clouds describe it: what they mean, and what differs from what is
//! wanted.

use std::{panic::AssertUnwindSafe, sync::Arc};

use bolero::check;
use paymesh::{
    cluster::{Cluster, ClusterSpec},
    converge::Converged,
    session::Session,
};
use paymesh_clock::Clock;
use paymesh_engine::{
    Context, Engine, Graph, Holder, Observation, Observations, OperationId, Seen, StopToken,
};
use paymesh_fuzz::{Choices, document, text};
use paymesh_plugin::{findings::Findings, spec::Attribute};
use serde_json::Value;

use crate::samples;

/// What a configuration wants.
pub(crate) struct Wanted {
    pub(crate) session: Session,
    pub(crate) spec: ClusterSpec,
    pub(crate) graph: Graph,
}

impl Wanted {
    /// What the sample of a cluster on `cloud` wants.
    pub(crate) fn on(cloud: &str, session: Session) -> Self {
        let mut found = Findings::new();
        let spec = samples::spec(&samples::configuration(cloud));
        let graph = Cluster::graph(&session, &spec, None, &mut found);
        let graph = graph.unwrap_or_else(|| panic!("{found}"));
        Self {
            session,
            spec,
            graph,
        }
    }

    /// What an object of the engine is told beside what it sees.
    pub(crate) fn context(&self, seen: &Observations) -> Context {
        let principal = self.graph.principal_id().expect("there is a principal");
        Context {
            mark: self.session.mark(principal),
            holder: Holder::found("aa11"),
            clock: self.session.engine().clock().clone(),
            stop: StopToken::new(),
            observations: Arc::new(seen.clone()),
            remarks: Vec::new(),
        }
    }
}

/// What is written of a body can be read again as it is.
pub(crate) fn check_kept<A: Attribute + PartialEq>(described: &A) {
    let mut found = Findings::new();
    let again = A::recall(&described.encode(), &mut found);
    assert_eq!(again.as_ref(), Some(described), "{found}");
}

fn check_bodies(cloud: &str) {
    let session = Session::new(
        Some(samples::settings_of(&samples::settings())),
        None,
        Engine::new(Clock::real()),
    );
    let wanted = AssertUnwindSafe(Wanted::on(cloud, session));
    let operation = samples::operation().to_string();
    check!(name = cloud).for_each(|input: &[u8]| {
        let Wanted {
            session,
            spec,
            graph,
        } = &*wanted;
        let mut choices = Choices::new(input);
        let mut seen = Observations::default();
        let principal = graph.principal_id();
        let others = graph.nodes().map(|(id, _)| id);
        let others = others.filter(|id| Some(*id) != principal);
        for id in principal.into_iter().chain(others) {
            let sample = samples::body(id);
            let observation = if choices.is_one_in(8) {
                Observation::Absent
            } else {
                Observation::Present(Seen::new(document(&mut choices, &[sample])))
            };
            seen.insert(id.clone(), observation);
        }
        let status = Cluster::status(spec, None, &seen, graph);
        check_kept(&status);
        Cluster::beware(spec, &seen, graph, &mut Findings::new());
        if let Some(described) = Cluster::described(session, spec, &status, &seen) {
            check_kept(&described);
        }
        let context = wanted.context(&seen);
        for (id, node) in graph.nodes() {
            let name = "operation-1".to_owned();
            let token = text(&mut choices, &[&operation, &name]);
            let _ = node.object.resume(&OperationId { name, token });
            if let Some(seen) = context.seen(id) {
                let _ = node.object.differ(&context, seen);
                let _ = node.object.foresee(&context, seen);
                let _ = node.object.may_be_held(seen);
            }
        }
    });
}

#[test]
fn of_azure() {
    check_bodies(samples::CLOUDS[0]);
}

#[test]
fn of_google() {
    check_bodies(samples::CLOUDS[1]);
}

/// The samples are what they stand for: nothing of them is passed over.
#[test]
fn samples_are_understood() {
    for cloud in samples::CLOUDS {
        let settings = samples::settings_of(&samples::settings());
        let session = Session::new(Some(settings), None, Engine::new(Clock::real()));
        let wanted = Wanted::on(cloud, session);
        let mut seen = Observations::default();
        for (id, _) in wanted.graph.nodes() {
            let body: Value = samples::body(id);
            seen.insert(id.clone(), Observation::Present(Seen::new(body)));
        }
        let status = Cluster::status(&wanted.spec, None, &seen, &wanted.graph);
        assert!(status.endpoint.is_some() && status.running_kubernetes_version.is_some());
        let described = Cluster::described(&wanted.session, &wanted.spec, &status, &seen);
        assert!(
            described.is_some_and(|it| !it.node_pools.is_empty()),
            "{cloud}"
        );
    }
}
