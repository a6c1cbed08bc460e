//! Whether the channel offers the wanted version, and each step of the way to it.

use paymesh_google::{Google, Location, cluster::Channel};
use paymesh_kubernetes::Version;
use paymesh_plugin::findings::Findings;

use crate::cluster::{
    Prior,
    checks::at,
    google::want,
    spec::{ClusterSpec, UpgradeChannel},
};
use crate::codes::{self, refuse};

pub(super) async fn check(
    google: &Google,
    place: &Location,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    found: &mut Findings,
) {
    let unchanged = prior.is_some_and(|prior| {
        prior.spec.kubernetes_version == spec.kubernetes_version
            && prior.spec.upgrade_channel == spec.upgrade_channel
    });
    let Ok(floor) = spec.kubernetes_version.parse::<Version>() else {
        return;
    };
    if unchanged {
        return;
    }
    let runs = prior
        .and_then(|prior| prior.status.running_kubernetes_version.as_deref())
        .and_then(|runs| runs.parse::<Version>().ok());
    let channel = want::channel(spec);
    let offered = offer(google, place, channel).await;
    if offered.is_empty() {
        return;
    }
    let enrols = prior.filter(|prior| prior.spec.upgrade_channel != spec.upgrade_channel);
    if let Some(runs) = runs
        .filter(|_| enrols.is_some())
        .filter(|runs| !offered.iter().any(|it| it.minor() == runs.minor()))
    {
        cannot_enrol(google, place, channel, runs, found).await;
        return;
    }
    let written = floor;
    let path = match &runs {
        None => vec![floor],
        Some(runs) => runs.path_to(floor),
    };
    let is_offered = |step: &Version| {
        offered
            .iter()
            .any(|version| version.minor() == step.minor() && version.meets(*step))
    };
    let Some(missing) = path.iter().find(|step| !is_offered(step)) else {
        return;
    };
    let mut minors: Vec<Version> = offered.iter().map(|it| it.minor()).collect();
    minors.sort();
    minors.dedup();
    let minors: Vec<String> = minors.iter().map(ToString::to_string).collect();
    let detail = format!(
        "kubernetes_version is {written}; the channel {} offers {} in {}{}",
        channel.as_str(),
        minors.join(", "),
        place.location,
        runs.filter(|_| *missing != written)
            .map_or(String::new(), |runs| format!(
                ", and from {runs}, which runs, the way leads over {missing}"
            ))
    );
    let elsewhere = elsewhere(google, place, written)
        .await
        .map_or(String::new(), |word| {
            format!("; upgrade_channel = \"{word}\" offers {written}")
        });
    refuse(
        found,
        at("kubernetes_version"),
        &codes::GOOGLE_VERSION_NOT_OFFERED,
        detail + &elsewhere,
    );
}

/// A cluster joins a channel only with a version that the channel has.
async fn cannot_enrol(
    google: &Google,
    place: &Location,
    channel: Channel,
    runs: Version,
    found: &mut Findings,
) {
    let detail = format!(
        "the cluster runs {runs}, which the channel {} does not have in {}: GKE refuses to enrol it",
        channel.as_str(),
        place.location
    );
    let word = elsewhere(google, place, runs.minor()).await;
    let elsewhere = word.map_or(String::new(), |word| {
        format!("; upgrade_channel = \"{word}\" has it")
    });
    refuse(
        found,
        at("upgrade_channel"),
        &codes::GOOGLE_VERSION_NOT_OFFERED,
        detail + &elsewhere,
    );
}

/// A channel that offers `wanted`.
async fn elsewhere(google: &Google, place: &Location, wanted: Version) -> Option<UpgradeChannel> {
    let channels = [
        (Channel::Stable, UpgradeChannel::Stable),
        (Channel::Regular, UpgradeChannel::Regular),
        (Channel::Rapid, UpgradeChannel::Rapid),
    ];
    for (channel, word) in channels {
        let offered = offer(google, place, channel).await;
        if offered
            .iter()
            .any(|version| version.minor() == wanted.minor() && version.meets(wanted))
        {
            return Some(word);
        }
    }
    None
}

async fn offer(google: &Google, place: &Location, channel: Channel) -> Vec<Version> {
    let offered = google.versions(place, channel).await.unwrap_or_default();
    offered
        .iter()
        .filter_map(|version| version.parse().ok())
        .collect()
}
