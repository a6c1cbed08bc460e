//! Every code that the provider's findings bear, for the page `docs/guides/error-codes.md`.
//!
//! A code is for ever: it is never given to another finding, and a finding that is no longer made
//! leaves a gap. Codes below 20 are the plugin's.

use paymesh_plugin::findings::Code;

/// Code, meaning, what to do.
pub const ROWS: &[(Code, &str, &str)] = &[
    (
        Code(20),
        "Not a region",
        "Write the region's short name, such as `westeurope` or `europe-west1`.",
    ),
    (
        Code(21),
        "Not a Kubernetes version",
        "Write the least version the cluster may run, best without a patch: `1.34`.",
    ),
    (
        Code(22),
        "A GKE version on AKS",
        "Remove what follows the hyphen.",
    ),
    (
        Code(23),
        "A hub cannot stand by",
        "Remove standby, or give the cluster role = `dr`.",
    ),
    (
        Code(24),
        "A stopped cluster cannot stand by",
        "Choose one: standby = true wakes within minutes, power = `off` costs least.",
    ),
    (
        Code(25),
        "GKE has no patch channel",
        "Use `stable`, and hold upgrades off with maintenance.exclusions.",
    ),
    (
        Code(26),
        "AKS has no regular channel",
        "Use `stable` or `rapid`.",
    ),
    (
        Code(27),
        "GKE node images follow the node version",
        "Remove node_image_channel; upgrade_channel and maintenance say when nodes change.",
    ),
    (
        Code(28),
        "Dataplane metrics need Cilium",
        "Set cilium = true, or remove dataplane_metrics.",
    ),
    (
        Code(29),
        "AKS has no built-in Gateway API",
        "Remove it; the platform's gateway component brings the Gateway API with it.",
    ),
    (
        Code(30),
        "Nobody would administer the hub",
        "Name at least one group in admins.",
    ),
    (Code(31), "Too many labels", "Remove some of them."),
    (
        Code(32),
        "A label of the provider's own",
        "Choose another key.",
    ),
    (
        Code(33),
        "Not a Google label",
        "Write it in lower case, with hyphens for other characters.",
    ),
    (
        Code(34),
        "Not an Azure tag",
        "Shorten it, or write it without those characters.",
    ),
    (
        Code(35),
        "Not the id of a Key Vault key",
        "Copy the key identifier, with its version, from the vault.",
    ),
    (
        Code(36),
        "Not the id of a Cloud KMS key",
        "Copy the resource name of the key.",
    ),
    (
        Code(37),
        "A key in another region",
        "Use a key in the cluster's region.",
    ),
    (Code(38), "GKE has no log workspace", "Remove logs."),
    (
        Code(39),
        "Not the id of a Log Analytics workspace",
        "Copy the resource id from the workspace's properties.",
    ),
    (
        Code(40),
        "Not the id of an Azure subnet",
        "Copy the resource id of the subnet.",
    ),
    (
        Code(41),
        "Azure subnets have no secondary ranges",
        "Remove it; azure.pods_cidr and azure.services_cidr say the addresses.",
    ),
    (
        Code(42),
        "Pods and services share addresses",
        "Choose ranges that share no address.",
    ),
    (
        Code(43),
        "The wrong number of service addresses",
        "A /16 is usual.",
    ),
    (
        Code(44),
        "Too few addresses for pods",
        "Choose a larger range, or lower max_nodes.",
    ),
    (
        Code(45),
        "Not a subscription id",
        "Print it with: az account show --query id.",
    ),
    (
        Code(46),
        "Not the name of a resource group",
        "Write the name of an existing group, not its id.",
    ),
    (
        Code(47),
        "GKE needs a network",
        "Set subnet_id, pods_range and services_range of an existing subnet.",
    ),
    (
        Code(48),
        "Not the id of a Google subnet",
        "Copy the subnet's resource name.",
    ),
    (
        Code(49),
        "A subnet in another region",
        "Use a subnet in the cluster's region.",
    ),
    (
        Code(50),
        "GKE needs the subnet's secondary ranges",
        "Name the secondary range of the subnet.",
    ),
    (
        Code(51),
        "Pods and services share a range",
        "Name two different secondary ranges.",
    ),
    (
        Code(52),
        "Not a project id",
        "Write the project's id, not its name or number.",
    ),
    (
        Code(53),
        "The control plane takes a /28",
        "Write sixteen addresses, such as `172.16.0.0/28`.",
    ),
    (
        Code(54),
        "Not an address range",
        "Write a range in CIDR notation.",
    ),
    (
        Code(55),
        "Public addresses inside the cluster",
        "Choose a range in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10.",
    ),
    (
        Code(56),
        "An administrator without an id in this cloud",
        "Set the id that the message names; one object may hold the ids of both clouds.",
    ),
    (
        Code(57),
        "The same administrator twice",
        "Remove one of the two.",
    ),
    (
        Code(58),
        "Not an Entra object id",
        "Write the object id of the group, not its name.",
    ),
    (
        Code(59),
        "Not an e-mail address",
        "Write the address of the Google group, user or service account.",
    ),
    (
        Code(60),
        "Not a service account",
        "Write kind = `group` or `user`, or the service account's address.",
    ),
    (
        Code(61),
        "Not the id of a user-assigned identity",
        "Copy the resource id of the identity.",
    ),
    (
        Code(62),
        "A node identity without a control-plane identity",
        "Set both, or none.",
    ),
    (
        Code(63),
        "Not a service account",
        "Write the e-mail address of the service account, or `default` for the project's own.",
    ),
    (
        Code(64),
        "Not the id of a registry",
        "Write the ARM id of a container registry, or projects/P/locations/L/repositories/R.",
    ),
    (
        Code(65),
        "No roles are assigned to an existing identity",
        "Give the nodes' identity the pull role where it is made, and remove registries.",
    ),
    (
        Code(66),
        "Nobody is authorized",
        "Name the ranges, or remove api_access to make the API server private.",
    ),
    (
        Code(67),
        "Too many authorized ranges",
        "Join neighbouring ranges.",
    ),
    (
        Code(68),
        "Not an address range",
        "Write a single address as `203.0.113.7/32`.",
    ),
    (
        Code(69),
        "The API server would be open to the internet",
        "Name the ranges of your offices, runners and VPN.",
    ),
    (
        Code(70),
        "Overlapping authorized ranges",
        "Keep the larger of the two.",
    ),
    (
        Code(71),
        "Not a time of day",
        "Write the hour and minute in UTC, such as `22:00`.",
    ),
    (
        Code(72),
        "Too many exclusions",
        "Remove those that have passed.",
    ),
    (
        Code(73),
        "Not a day",
        "Write the day, such as `2026-11-20`.",
    ),
    (
        Code(74),
        "An exclusion that ends before it begins",
        "Swap the two days.",
    ),
    (Code(75), "An exclusion that is too long", "Shorten it."),
    (
        Code(76),
        "A cluster without nodes",
        "Add at least one pool with mode = `system`.",
    ),
    (Code(77), "No system pool", "Give one pool mode = `system`."),
    (
        Code(78),
        "Too many pools",
        "Join pools that differ only in their labels.",
    ),
    (Code(79), "Not the name of an AKS pool", "Rename the pool."),
    (Code(80), "Not the name of a GKE pool", "Rename the pool."),
    (
        Code(81),
        "Sized twice",
        "Keep machine_type, or vcpu and memory_gb.",
    ),
    (
        Code(82),
        "A pool without a size",
        "Set vcpu and memory_gb, or machine_type.",
    ),
    (
        Code(83),
        "No machine of this size",
        "Name a machine_type instead.",
    ),
    (
        Code(84),
        "A machine type of another cloud",
        "Write `Standard_D4s_v5` on AKS and `n2-standard-4` on GKE, or vcpu and memory_gb for both.",
    ),
    (
        Code(85),
        "Too small for a system pool",
        "Choose a larger machine.",
    ),
    (Code(86), "A maximum below the minimum", "Swap the two."),
    (
        Code(87),
        "A pool that never has a node",
        "Remove the pool, or let it grow; standby = true keeps a cluster without workload nodes.",
    ),
    (
        Code(88),
        "A fixed size that the zones cannot share",
        "Use one of the two sizes that the message names, or a range.",
    ),
    (Code(89), "The same zone twice", "Remove one of the two."),
    (Code(90), "Not an Azure zone", "Write `1`, `2` or `3`."),
    (
        Code(91),
        "A zone of another region",
        "Name a zone of the cluster's region.",
    ),
    (
        Code(92),
        "High availability in one zone",
        "Name two or three zones, or set profile = `cost_optimized`.",
    ),
    (
        Code(93),
        "GKE has no ephemeral system disk",
        "Use `balanced` or `ssd`.",
    ),
    (
        Code(94),
        "A system pool without nodes",
        "Keep at least one node, better three.",
    ),
    (
        Code(95),
        "A system pool that can be taken back",
        "Use spot nodes for workloads only.",
    ),
    (
        Code(96),
        "Too few pods for a system pool",
        "Allow 30 pods or more.",
    ),
    (
        Code(97),
        "Not the key of a Kubernetes label",
        "Rename the label.",
    ),
    (
        Code(98),
        "A label that the cloud owns",
        "Use a prefix of your own.",
    ),
    (
        Code(99),
        "Not the value of a Kubernetes label",
        "Shorten it, or write it without other characters.",
    ),
    (Code(100), "Not the key of a taint", "Rename the taint."),
    (
        Code(101),
        "A taint that the cloud owns",
        "Use a prefix of your own.",
    ),
    (
        Code(102),
        "Not the value of a taint",
        "Shorten it, or write it without other characters.",
    ),
    (Code(103), "The same taint twice", "Remove one of the two."),
    (
        Code(104),
        "A taint that keeps the cluster's components out",
        "Remove it, or put it on a workload pool.",
    ),
    (
        Code(105),
        "Two clusters of one network share addresses",
        "Give each cluster a range of its own.",
    ),
    (
        Code(106),
        "Two clusters use one secondary range",
        "Give each cluster secondary ranges of its own.",
    ),
    (
        Code(107),
        "Two pools would have the same name in the cloud",
        "Rename one of the two.",
    ),
    (
        Code(108),
        "No roles are assigned beside existing identities",
        "Remove deployer_admin, and name the deployer's group in admins.",
    ),
    (
        Code(109),
        "A stopped cluster cannot be changed",
        "Set power = `on` in the same change, or undo the other changes.",
    ),
    (
        Code(110),
        "Two places for one cloud",
        "Remove the endpoint: the simulator's file says where it is.",
    ),
    (Code(111), "Credentials would travel in clear", "Use https."),
    (
        Code(112),
        "Custom endpoint",
        "Remove it unless you mean it.",
    ),
    (
        Code(113),
        "The provider's settings are not known yet",
        "Apply what the provider block depends on first, if this plan needs live facts.",
    ),
    (
        Code(114),
        "No simulated cloud",
        "Start it with: paymesh sim up.",
    ),
    (
        Code(115),
        "The simulator's clock is wrong",
        "Set another rate with: paymesh sim clock --rate 600.",
    ),
    (
        Code(116),
        "A cluster is not downgraded",
        "Nothing needs to be done: the version is a minimum.",
    ),
    (
        Code(117),
        "One process, two configurations",
        "Start one provider process per configuration.",
    ),
    (
        Code(118),
        "Custom certificate authority",
        "Remove it unless a proxy of yours needs it.",
    ),
    (
        Code(119),
        "Another state owns the object that is imported",
        "Let the other state forget it; or do not apply the import: the first apply that changes something takes the object over.",
    ),
    (
        Code(120),
        "Deletion protection forbids the replacement",
        "Undo the change; or set deletion_protection = false, apply that alone, and plan again.",
    ),
    (
        Code(121),
        "Apply will disturb what runs",
        "Read the steps; each resumes where it stopped.",
    ),
    (
        Code(122),
        "Deletion protection forbids the destruction",
        "Set `deletion_protection = false`, apply, and destroy then.",
    ),
    (
        Code(123),
        "The private data cannot be read",
        "Use the provider version that wrote it, or remove the resource from the state and import it.",
    ),
    (
        Code(124),
        "An operation was interrupted or ran out of time",
        "Run `terraform apply` again: it resumes there.",
    ),
    (
        Code(125),
        "The state of the object is not whole",
        "Refresh it with: terraform apply -refresh-only.",
    ),
    (
        Code(126),
        "Deletion protection keeps a tainted object",
        "Untaint it, or set `deletion_protection = false` and apply first.",
    ),
    (
        Code(127),
        "Another state owns the object now",
        "Forget this entry with `terraform state rm`.",
    ),
    (
        Code(128),
        "A cluster is gone, its parts are not",
        "Apply to make it anew, or destroy to take the rest away.",
    ),
    (
        Code(129),
        "Apply will resume what an earlier run began",
        "Apply: it goes on where that run stopped.",
    ),
    (
        Code(130),
        "Not the id of a cluster",
        "Copy the resource id from the cloud's console.",
    ),
    (
        Code(131),
        "No subscription is known",
        "Set `azure = { subscription_id = \"...\" }` in the provider block.",
    ),
    (
        Code(132),
        "Azure cannot be reached",
        "Check the provider's azure block and the credentials in the environment.",
    ),
    (
        Code(133),
        "An AKS cluster cannot be found",
        "Check the id and what this identity may see: `az aks list --query [].id`.",
    ),
    (
        Code(134),
        "No project is known",
        "Set `google = { project = \"...\" }` in the provider block.",
    ),
    (
        Code(135),
        "Google Cloud cannot be reached",
        "Check the provider's google block and the application default credentials.",
    ),
    (
        Code(136),
        "A GKE cluster cannot be found",
        "Check the id and what this identity may see: `gcloud container clusters list`.",
    ),
    (
        Code(137),
        "The provider's settings are not known yet",
        "Apply what the provider block depends on first.",
    ),
    (
        Code(138),
        "No token for the cluster",
        "Check the credentials in the environment.",
    ),
    (
        Code(139),
        "The cluster's place is not known",
        "Name the subscription or project here or in the provider block.",
    ),
    (
        Code(140),
        "Something to know about an object",
        "Read the message.",
    ),
    (
        Code(141),
        "The cloud is still busy with an object",
        "Wait until its operation has ended, then apply again.",
    ),
    (
        Code(142),
        "Somebody else keeps changing an object",
        "Wait until the other run has ended, then apply again.",
    ),
    (
        Code(143),
        "It is uncertain what happened to a request",
        "Apply again: it looks first.",
    ),
    (
        Code(144),
        "Somebody deleted an object meanwhile",
        "Apply again: it makes it anew.",
    ),
    (
        Code(145),
        "The cloud does not know yet what was just made",
        "Apply again in a minute.",
    ),
    (
        Code(146),
        "The cloud did not answer",
        "Wait and apply again; `terraform destroy -refresh=false` and `plan -refresh=false` do not ask.",
    ),
    (
        Code(147),
        "The identity may not do this",
        "Give it the role that the message names.",
    ),
    (
        Code(148),
        "Quota or capacity is used up",
        "Ask for more, or use another machine type or region.",
    ),
    (
        Code(149),
        "The cloud refused a request",
        "Correct the attribute that the message names.",
    ),
    (
        Code(150),
        "An operation failed",
        "Read the cloud's reason, then apply again: it goes on from what exists.",
    ),
    (
        Code(151),
        "The cloud accepted a change and did not make it",
        "Find what else manages the object, or remove the attribute.",
    ),
    (
        Code(152),
        "Somebody else owns an object",
        "Import it with the block that the message prints, or choose another name.",
    ),
    (
        Code(153),
        "A deleted object still holds its name",
        "Recover or purge it with the command that the message prints.",
    ),
    (
        Code(154),
        "Only a new object can be as wanted",
        "Undo the change, or let the plan replace the resource.",
    ),
    (
        Code(155),
        "Another state entry owns the object",
        "Remove this entry with `terraform state rm`, or give one of the states another `owner`.",
    ),
    (
        Code(156),
        "Two resources want one object",
        "Use the `moved` block or the state commands that the message prints.",
    ),
    (
        Code(157),
        "Something that is needed does not exist",
        "Create it first, correct its name, or leave the name out.",
    ),
    (
        Code(158),
        "Out of time",
        "Apply again: it resumes; or raise `timeouts`.",
    ),
    (
        Code(159),
        "A defect of the provider",
        "Report it with the log (`TF_LOG=TRACE`).",
    ),
    (
        Code(160),
        "AKS chooses the disk by the machine",
        "Use `balanced`, or `ephemeral` for the machine's own disk.",
    ),
    (
        Code(161),
        "AKS adds no nodes to a spot pool",
        "Remove surge.",
    ),
    (
        Code(162),
        "Exclusions without a window",
        "Set maintenance.window: day, start and hours.",
    ),
    (
        Code(163),
        "Nobody could read the key",
        "Make an identity, give it `Key Vault Crypto User` on the key, and set azure.control_plane_identity_id.",
    ),
    (
        Code(164),
        "No roles are assigned beside existing identities",
        "Name a group that has this member, or assign the role where the identity is made.",
    ),
    (
        Code(170),
        "GKE cannot keep the deployer out",
        "Remove deployer_admin, and limit the deployer's role in the project's IAM policy.",
    ),
    (
        Code(171),
        "GKE upgrades every cluster",
        "Use `stable`, and hold upgrades off with maintenance.exclusions.",
    ),
    (
        Code(172),
        "A window that is too short",
        "set hours to at least ",
    ),
    (
        Code(180),
        "An object was changed outside Terraform",
        "Apply to undo it, or write what was changed into the configuration.",
    ),
    (
        Code(181),
        "A resource of another provider cannot be moved here",
        "Do what the message says, or import the cluster by its id.",
    ),
    (
        Code(183),
        "A lookup names no cluster, or two",
        "Set `cluster_id` alone; or `name`, `region`, and one of `azure` and `google`.",
    ),
    (
        Code(184),
        "The cluster has no address",
        "Start it, or wait until it is ready.",
    ),
    (
        Code(200),
        "No such region",
        "Use one of the regions that the message names.",
    ),
    (
        Code(201),
        "Azure cannot be asked while planning",
        "Check `subscription_id` and the credentials, or plan with `-refresh=false`.",
    ),
    (
        Code(202),
        "No such resource group",
        "Create it, or remove resource_group to let the provider make its own.",
    ),
    (
        Code(203),
        "The cluster exists already",
        "Import it with the block that the message prints, or choose another name.",
    ),
    (
        Code(204),
        "No such subnet",
        "Copy the resource id of the subnet.",
    ),
    (
        Code(205),
        "The subnet is reserved for another service",
        "Use a subnet without delegation.",
    ),
    (
        Code(206),
        "The subnet is too small",
        "Use a larger subnet, or lower max_nodes.",
    ),
    (
        Code(207),
        "The range overlaps the nodes' network",
        "Choose a range outside the virtual network.",
    ),
    (
        Code(208),
        "The version is not offered",
        "Use one of the versions that the message names.",
    ),
    (
        Code(209),
        "The patch is not offered",
        "Write the minor version to accept any patch.",
    ),
    (
        Code(210),
        "A preview version",
        "Use a version that is supported for production.",
    ),
    (
        Code(211),
        "The machine type is not offered here",
        "Name another machine_type, or use another region.",
    ),
    (
        Code(212),
        "Too small for a system pool",
        "Choose a machine with at least 2 vCPU and 4 GiB.",
    ),
    (
        Code(213),
        "The machine type is closed to the subscription",
        "Name another machine_type, or ask Azure support to open it.",
    ),
    (
        Code(214),
        "The machine type is not offered in these zones",
        "Set zones to those that are offered, or name another machine_type.",
    ),
    (
        Code(217),
        "A subnet in another region",
        "Use a subnet in the cluster's region.",
    ),
    (
        Code(218),
        "No such log workspace",
        "Create the workspace first, or correct its id.",
    ),
    (
        Code(219),
        "No such registry",
        "Create the registry first, or correct its id.",
    ),
    (
        Code(220),
        "No such identity",
        "Create the identity first, or correct its id.",
    ),
    (
        Code(221),
        "The machine type has no spot machines",
        "Set spot = false, or name another machine_type.",
    ),
    (
        Code(222),
        "The machine type has no disk of its own",
        "Use disk_type = `balanced`, or a machine type with a local disk, such as Standard_D4ds_v5.",
    ),
    (
        Code(240),
        "No such region",
        "Use one of the regions that the message names.",
    ),
    (
        Code(241),
        "Google Cloud cannot be asked while planning",
        "Check the project and the credentials, and that the identity may read the project (`roles/compute.viewer`).",
    ),
    (
        Code(242),
        "The cluster exists already",
        "Import it with the block that the message prints, or choose another name.",
    ),
    (
        Code(243),
        "No such subnet",
        "Copy the resource name of the subnet.",
    ),
    (
        Code(244),
        "No such secondary range",
        "Name one of the subnet's ranges, or add the range to the subnet.",
    ),
    (
        Code(245),
        "The subnet is too small",
        "Use a larger subnet, or lower `max_nodes`.",
    ),
    (
        Code(246),
        "Too few addresses for pods",
        "Use a larger range, or lower `max_nodes` or `max_pods`.",
    ),
    (
        Code(247),
        "The control plane shares addresses with the subnet",
        "Choose a /28 that nothing in the network uses.",
    ),
    (
        Code(248),
        "No such registry",
        "Create the registry first, or correct its id.",
    ),
    (
        Code(249),
        "No such key",
        "Create the key first, or correct its id.",
    ),
    (
        Code(250),
        "No such service account",
        "Create the account first, or remove it: the cluster then gets one of its own.",
    ),
    (
        Code(251),
        "The version is not offered",
        "Use one of the versions that the message names.",
    ),
    (
        Code(252),
        "No such zone",
        "Use some of the zones that the message names.",
    ),
    (
        Code(253),
        "The machine type is not offered here",
        "Name another `machine_type`, or use another region.",
    ),
    (
        Code(254),
        "Not every zone has the machines of a pool",
        "Name the zones that have them, or another `machine_type`.",
    ),
    (
        Code(255),
        "The machine type is not offered in these zones",
        "Set `zones` to those that offer it, or name another `machine_type`.",
    ),
    (
        Code(256),
        "Not enough quota",
        "Ask for more quota (IAM & Admin, Quotas), or lower `min_nodes`.",
    ),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use super::*;

    /// The codes in a source file: `Code(120)`, or a number on a line of its own, as the checks
    /// hand it to `refuse`.
    fn codes_in(text: &str) -> Vec<u16> {
        let called = text
            .split("Code(")
            .skip(1)
            .filter_map(|rest| rest.split_once(')')?.0.parse().ok());
        let listed = text.lines().filter_map(|line| {
            let line = line.trim().strip_suffix(',')?;
            line.parse().ok().filter(|_| line.len() > 1)
        });
        let arms = text.lines().filter_map(|line| {
            let (_, code) = line.split_once("FaultKind::")?.1.split_once(" => ")?;
            code.trim_start_matches('(').split(',').next()?.parse().ok()
        });
        // `add(path, id, 220, "identity")`
        let inline = text
            .split(r#", ""#)
            .filter_map(|before| before.rsplit_once(", ")?.1.parse().ok());
        called.chain(listed).chain(arms).chain(inline).collect()
    }

    fn sources(folder: &Path, into: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|it| it == "rs")
                && !["tests.rs", "codes.rs"].contains(&name.as_str())
            {
                into.push((
                    path.display().to_string(),
                    fs::read_to_string(&path).unwrap(),
                ));
            }
        }
    }

    #[test]
    fn every_code_that_is_used_has_a_row_and_every_row_is_used() {
        let mut files = Vec::new();
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut files,
        );
        let mut used: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        for (path, text) in &files {
            let product = text
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap_or_default();
            for code in codes_in(product) {
                if (20..1000).contains(&code) {
                    used.entry(code).or_default().push(path.clone());
                }
            }
        }
        let rows: Vec<u16> = ROWS.iter().map(|(Code(code), ..)| *code).collect();
        let missing: Vec<_> = used
            .iter()
            .filter(|(code, _)| !rows.contains(code))
            .collect();
        assert!(missing.is_empty(), "no row in codes.rs: {missing:?}");
        let unused: Vec<_> = rows
            .iter()
            .filter(|code| !used.contains_key(code))
            .collect();
        assert!(unused.is_empty(), "rows without a finding: {unused:?}");
        assert!(
            rows.is_sorted_by(|one, next| one < next),
            "sorted, each once"
        );
    }

    #[test]
    fn a_code_is_given_to_one_kind_of_finding() {
        let mut files = Vec::new();
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut files,
        );
        let mut homes: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
        for (path, text) in &files {
            let product = text
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap_or_default();
            for code in codes_in(product) {
                let homes = homes.entry(code).or_default();
                if (20..1000).contains(&code) && !homes.contains(&path.as_str()) {
                    homes.push(path);
                }
            }
        }
        homes.retain(|_, homes| homes.len() > 1);
        assert!(homes.is_empty(), "one code in several files: {homes:?}");
    }
}
