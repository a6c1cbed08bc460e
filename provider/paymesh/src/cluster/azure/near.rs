//! An AKS cluster as it was seen, near the user's own spelling: what was changed behind our back
//! is taken from here into the state.

use paymesh_azure::{
    ArmId, ClusterSeen, Maintenance, PoolSeen, Power as AksPower, WindowSeen, pool_object_id,
    workspace_of_logs,
};
use paymesh_engine::{Observation, Observations};

use super::{body, grants, want};
use crate::{
    cluster::{
        near,
        spec::{AdminKind, ClusterSpec, Logs, Power},
        status::ClusterStatus,
    },
    session::Session,
};

/// `None` if the cluster was not seen.
pub(in crate::cluster) fn described(
    session: &Session,
    spelling: &ClusterSpec,
    prior: &ClusterStatus,
    seen: &Observations,
) -> Option<ClusterSpec> {
    let id = ArmId::parse(prior.id.as_deref()?).ok()?;
    let cluster = seen.seen(&paymesh_azure::cluster_object_id(&id))?;
    let cluster = ClusterSeen::new(&cluster.body);
    let mut spec = body::described(&id, cluster);
    spec.power = match cluster.power_as_wanted() {
        AksPower::Running => Power::On,
        AksPower::Stopped => Power::Off,
    };
    spec.labels = near::labels(&spelling.labels, cluster.tags());
    spec.node_pools = near::pools(spelling, prior, |name| {
        let pool = seen.seen(&pool_object_id(&id, name))?;
        Some(body::pool(PoolSeen::new(&pool.body)))
    });
    spec.maintenance = maintenance(spelling, &id, seen);
    spec.logs = logs(spelling, &spec, &id, seen);
    people(session, spelling, &mut spec, &id, seen);
    Some(spec)
}

/// The window that is not as it is spelled, of the two that follow one attribute.
fn maintenance(
    spelling: &ClusterSpec,
    id: &ArmId,
    seen: &Observations,
) -> Option<crate::cluster::spec::Maintenance> {
    let spelled = spelling.maintenance.as_ref()?;
    let windows = want::SCHEDULES.map(|name| {
        let configuration = seen.seen(&Maintenance::id_of(id, name))?;
        let window = body::maintenance(&WindowSeen::read(&configuration.body)?)?;
        Some(near::maintenance(spelled, window))
    });
    let other = windows.iter().find(|it| it.as_ref() != Some(spelled));
    other.unwrap_or(&spelling.maintenance).clone()
}

/// Where the containers' logs go, unless the control plane's do not go there.
fn logs(
    spelling: &ClusterSpec,
    cluster: &ClusterSpec,
    id: &ArmId,
    seen: &Observations,
) -> Option<Logs> {
    let spelled = spelling.logs.as_ref()?;
    let setting = paymesh_azure::Diagnostics::id_of(id);
    let control_plane = seen
        .seen(&setting)
        .and_then(|it| workspace_of_logs(&it.body));
    let is_spelled = |workspace: &str| {
        let wanted = spelled.workspace_id.as_deref().unwrap_or_default();
        workspace.eq_ignore_ascii_case(wanted)
    };
    match control_plane {
        Some(workspace) if is_spelled(workspace) => cluster.logs.clone(),
        other => other.map(|workspace| Logs {
            workspace_id: Some(workspace.to_owned()),
        }),
    }
}

/// Takes away who lost a role, and adds the groups that somebody else made administrators.
fn people(
    session: &Session,
    spelling: &ClusterSpec,
    spec: &mut ClusterSpec,
    id: &ArmId,
    seen: &Observations,
) {
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    let groups = spec.admins.clone();
    let is_group = |person: &str| {
        let mut ids = groups.iter().filter_map(|it| it.entra_object_id.as_deref());
        ids.any(|it| same(it, person))
    };
    spec.admins.clone_from(&spelling.admins);
    spec.registries.clone_from(&spelling.registries);
    spec.deployer_admin = spelling.deployer_admin;
    spec.admins.retain(|it| {
        it.kind != AdminKind::Group || it.entra_object_id.as_deref().is_none_or(is_group)
    });
    let spelled = |group: &str| {
        let mut ids = spelling
            .admins
            .iter()
            .filter_map(|it| it.entra_object_id.as_deref());
        ids.any(|it| same(it, group))
    };
    let others = groups.iter().filter(|it| {
        let id = it.entra_object_id.as_deref();
        id.is_some_and(|id| !spelled(id))
    });
    spec.admins.extend(others.cloned());
    let (Ok(azure), Some(group)) = (session.azure(), id.group_id()) else {
        return;
    };
    for grant in grants::of(spelling, &group, id) {
        let role = paymesh_engine::Object::id(&grant.role(&azure, session.owner()));
        if seen.observation(&role) == Some(&Observation::Absent) {
            grant.take_from(spec);
        }
    }
}
