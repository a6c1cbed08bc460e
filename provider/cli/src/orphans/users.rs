//! What clusters use: it is no orphan while one of them lives, whosever mark either bears.

use std::collections::BTreeSet;

use super::clouds::Found;

/// `orphans` without what a cluster uses that is none of them; and that.
pub(crate) fn spare(orphans: Vec<Found>) -> (Vec<Found>, Vec<Found>) {
    let going: BTreeSet<String> = orphans
        .iter()
        .map(|it| it.id.to_ascii_lowercase())
        .collect();
    let goes = |user: &String| going.contains(&user.to_ascii_lowercase());
    let is_free = |it: &Found| it.users.iter().all(goes);
    orphans.into_iter().partition(is_free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(users: &[&str], is_orphan: bool) {
        let mut account = Found::of_test("/g/account", "one", Some("h2"));
        account.users = users.iter().map(|it| (*it).to_owned()).collect();
        let cluster = Found::of_test("/g/Cluster", "one", Some("h1"));
        let (orphans, spared) = spare(vec![cluster, account]);
        assert_eq!(
            (orphans.len(), spared.len()),
            (1 + usize::from(is_orphan), usize::from(!is_orphan))
        );
    }

    #[test]
    fn what_a_cluster_uses_that_is_no_orphan_is_none_either() {
        check(&[], true);
        check(&["/g/cluster"], true);
        check(&["/g/anothers"], false);
        check(&["/g/cluster", "/g/anothers"], false);
    }
}
