//! Every code that the provider's findings bear, for the page `docs/guides/error-codes.md`.
//!
//! A code is for ever: it is never given to another finding, and a finding that is no longer made
//! leaves a gap. Codes below 20 are the plugin's.

use paymesh_plugin::{
    findings::{Code, Finding, Findings, Severity},
    path::Path,
};

/// What all findings of one code say.
#[derive(Debug)]
pub(crate) struct Row {
    code: Code,
    title: &'static str,
    next: &'static str,
}

impl Row {
    /// What to do, unless something better is known.
    pub(crate) const fn next(&self) -> &'static str {
        self.next
    }

    /// A finding of this code.
    pub(crate) fn finding(
        &self,
        severity: Severity,
        path: Path,
        detail: impl Into<String>,
    ) -> Finding {
        let mut finding = match severity {
            Severity::Error => Finding::error(path, self.title),
            Severity::Warning => Finding::warning(path, self.title),
        };
        finding.code(self.code).detail(detail).hint(self.next);
        finding
    }

    /// The same with what it is about in its title: of several warnings of one title, Terraform
    /// shows the first only.
    pub(crate) fn finding_about(
        &self,
        name: &str,
        severity: Severity,
        path: Path,
        detail: impl Into<String>,
    ) -> Finding {
        let mut finding = self.finding(severity, path, detail);
        finding.title = format!("{}: {name}", self.title);
        finding
    }
}

/// One error, in the order in which it is read.
pub(crate) fn refuse(found: &mut Findings, path: Path, row: &Row, detail: impl Into<String>) {
    found.add(row.finding(Severity::Error, path, detail));
}

/// One warning.
pub(crate) fn warn(found: &mut Findings, path: Path, row: &Row, detail: impl Into<String>) {
    found.add(row.finding(Severity::Warning, path, detail));
}

/// One warning about an object of this name.
pub(crate) fn warn_about(
    found: &mut Findings,
    path: Path,
    row: &Row,
    name: &str,
    detail: impl Into<String>,
) {
    found.add(row.finding_about(name, Severity::Warning, path, detail));
}

/// Makes a constant of each row, and the table of them all.
macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $next:literal;)*) => {
        $(#[doc = $title] pub(crate) const $name: Row = Row {
            code: Code($code),
            title: $title,
            next: $next,
        };)*

        /// Code, title, what to do.
        pub const ROWS: &[(Code, &str, &str)] = &[$((Code($code), $title, $next)),*];
    };
}

codes! {
    NOT_A_REGION = 20, "Not a region",
        "Write the region's short name, such as `westeurope` or `europe-west1`.";
    NOT_A_KUBERNETES_VERSION = 21, "Not a Kubernetes version",
        "Write the least version the cluster may run, best without a patch: `1.34`.";
    GKE_VERSION_ON_AKS = 22, "A GKE version on AKS",
        "Remove what follows the hyphen.";
    HUB_CANNOT_STAND_BY = 23, "A hub cannot stand by",
        "Remove standby, or give the cluster `role = \"dr\"`.";
    STOPPED_CLUSTER_CANNOT_STAND_BY = 24, "A stopped cluster cannot stand by",
        "Choose one: `standby = true` wakes within minutes, `power = \"off\"` costs least.";
    GKE_HAS_NO_PATCH_CHANNEL = 25, "GKE has no patch channel",
        "Use `stable`, and hold upgrades off with maintenance.exclusions.";
    AKS_HAS_NO_REGULAR_CHANNEL = 26, "AKS has no regular channel",
        "Use `stable` or `rapid`.";
    GKE_NODE_IMAGES_FOLLOW_VERSION = 27, "GKE node images follow the node version",
        "Remove node_image_channel; upgrade_channel and maintenance say when nodes change.";
    DATAPLANE_METRICS_NEED_CILIUM = 28, "Dataplane metrics need Cilium",
        "Set `cilium = true`, or remove dataplane_metrics.";
    AKS_HAS_NO_GATEWAY_API = 29, "AKS has no built-in Gateway API",
        "Remove it; the platform's gateway component brings the Gateway API with it.";
    NOBODY_ADMINISTERS_HUB = 30, "Nobody would administer the hub",
        "Name at least one group in admins.";
    TOO_MANY_LABELS = 31, "Too many labels",
        "Remove some of them.";
    PROVIDERS_OWN_LABEL = 32, "A label of the provider's own",
        "Choose another key.";
    NOT_A_GOOGLE_LABEL = 33, "Not a Google label",
        "Write it in lower case, with hyphens for other characters.";
    NOT_AN_AZURE_TAG = 34, "Not an Azure tag",
        "Shorten it, or write it without those characters.";
    NOT_A_KEY_VAULT_KEY = 35, "Not the id of a Key Vault key",
        "Copy the key identifier, with its version, from the vault.";
    NOT_A_CLOUD_KMS_KEY = 36, "Not the id of a Cloud KMS key",
        "Copy the resource name of the key.";
    KEY_IN_ANOTHER_REGION = 37, "A key in another region",
        "Use a key in the cluster's region.";
    GKE_HAS_NO_LOG_WORKSPACE = 38, "GKE has no log workspace",
        "Remove logs.";
    NOT_A_LOG_ANALYTICS_WORKSPACE = 39, "Not the id of a Log Analytics workspace",
        "Copy the resource id from the workspace's properties.";
    NOT_AN_AZURE_SUBNET = 40, "Not the id of an Azure subnet",
        "Copy the resource id of the subnet.";
    AZURE_SUBNETS_HAVE_NO_RANGES = 41, "Azure subnets have no secondary ranges",
        "Remove it; azure.pods_cidr and azure.services_cidr say the addresses.";
    PODS_AND_SERVICES_SHARE_ADDRESSES = 42, "Pods and services share addresses",
        "Choose ranges that share no address.";
    WRONG_NUMBER_OF_SERVICE_ADDRESSES = 43, "The wrong number of service addresses",
        "A /16 is usual.";
    TOO_FEW_POD_ADDRESSES = 44, "Too few addresses for pods",
        "Choose a larger range, or lower max_nodes.";
    NOT_A_SUBSCRIPTION_ID = 45, "Not a subscription id",
        "Print it with `az account show --query id`.";
    NOT_A_RESOURCE_GROUP = 46, "Not the name of a resource group",
        "Write the name of an existing group, not its id.";
    GKE_NEEDS_A_NETWORK = 47, "GKE needs a network",
        "Set subnet_id, pods_range and services_range of an existing subnet.";
    NOT_A_GOOGLE_SUBNET = 48, "Not the id of a Google subnet",
        "Copy the subnet's resource name.";
    SUBNET_IN_ANOTHER_REGION = 49, "A subnet in another region",
        "Correct `region`, or use a subnet in it.";
    GKE_NEEDS_SECONDARY_RANGES = 50, "GKE needs the subnet's secondary ranges",
        "Name the secondary range of the subnet.";
    PODS_AND_SERVICES_SHARE_RANGE = 51, "Pods and services share a range",
        "Name two different secondary ranges.";
    NOT_A_PROJECT_ID = 52, "Not a project id",
        "Write the project's id, not its name or number.";
    CONTROL_PLANE_TAKES_16_ADDRESSES = 53, "The control plane takes a /28",
        "Write sixteen addresses, such as `172.16.0.0/28`.";
    NOT_A_CLUSTER_RANGE = 54, "Not an address range",
        "Write a range in CIDR notation.";
    PUBLIC_ADDRESSES_INSIDE_CLUSTER = 55, "Public addresses inside the cluster",
        "Choose a range in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10.";
    ADMINISTRATOR_WITHOUT_ID = 56, "An administrator without an id in this cloud",
        "Set the id that the message names; one object may hold the ids of both clouds.";
    SAME_ADMINISTRATOR_TWICE = 57, "The same administrator twice",
        "Remove one of the two.";
    NOT_AN_ENTRA_OBJECT_ID = 58, "Not an Entra object id",
        "Write the object id of the group, not its name.";
    NOT_AN_E_MAIL_ADDRESS = 59, "Not an e-mail address",
        "Write the address of the Google group, user or service account.";
    ADMINISTRATOR_NOT_A_SERVICE_ACCOUNT = 60, "Not a service account",
        "Write `kind = \"group\"` or `kind = \"user\"`, or the service account's address.";
    NOT_A_USER_ASSIGNED_IDENTITY = 61, "Not the id of a user-assigned identity",
        "Copy the resource id of the identity.";
    NODE_IDENTITY_ALONE = 62, "A node identity without a control-plane identity",
        "Set both, or none.";
    NODE_IDENTITY_NOT_A_SERVICE_ACCOUNT = 63, "Not a service account",
        "Write the e-mail address of the service account, or `default` for the project's own.";
    NOT_A_REGISTRY = 64, "Not the id of a registry",
        "Write the ARM id of a container registry, or projects/P/locations/L/repositories/R.";
    REGISTRIES_BESIDE_EXISTING_IDENTITIES = 65, "No roles are assigned to an existing identity",
        "Give the nodes' identity the pull role where it is made, and remove registries.";
    NOBODY_IS_AUTHORIZED = 66, "Nobody is authorized, or everybody",
        "Name the ranges, or remove api_access to make the API server private.";
    TOO_MANY_AUTHORIZED_RANGES = 67, "Too many authorized ranges",
        "Join neighbouring ranges.";
    NOT_AN_AUTHORIZED_RANGE = 68, "Not an address range",
        "Write a single address as `203.0.113.7/32`.";
    API_SERVER_OPEN_TO_INTERNET = 69, "The API server would be open to the internet",
        "Name the ranges of your offices, runners and VPN; or remove api_access, and the API server is private.";
    OVERLAPPING_AUTHORIZED_RANGES = 70, "Overlapping authorized ranges",
        "Keep the larger of the two.";
    NOT_A_TIME_OF_DAY = 71, "Not a time of day",
        "Write the hour and minute in UTC, such as `22:00`.";
    TOO_MANY_EXCLUSIONS = 72, "Too many exclusions",
        "Remove those that have passed.";
    NOT_A_DAY = 73, "Not a day",
        "Write the day, such as `2026-11-20`.";
    EXCLUSION_ENDS_BEFORE_IT_BEGINS = 74, "An exclusion that ends before it begins",
        "Swap the two days.";
    EXCLUSION_TOO_LONG = 75, "An exclusion that is too long",
        "Shorten it.";
    CLUSTER_WITHOUT_NODES = 76, "A cluster without nodes",
        "Add at least one pool with `mode = \"system\"`.";
    NO_SYSTEM_POOL = 77, "No system pool",
        "Give one pool `mode = \"system\"`.";
    TOO_MANY_POOLS = 78, "Too many pools",
        "Join pools that differ only in their labels.";
    NOT_AN_AKS_POOL_NAME = 79, "Not the name of an AKS pool",
        "Rename the pool.";
    NOT_A_GKE_POOL_NAME = 80, "Not the name of a GKE pool",
        "Rename the pool.";
    SIZED_TWICE = 81, "Sized twice",
        "Keep machine_type, or vcpu and memory_gb.";
    POOL_WITHOUT_SIZE = 82, "A pool without a size",
        "Set vcpu and memory_gb, or machine_type.";
    NO_MACHINE_OF_THIS_SIZE = 83, "No machine of this size",
        "Ask for less, or name a machine_type instead of vcpu and memory_gb: `az vm list-sizes --location REGION` or `gcloud compute machine-types list` prints them.";
    MACHINE_TYPE_OF_ANOTHER_CLOUD = 84, "A machine type of another cloud",
        "Write `Standard_D4s_v5` on AKS and `n2-standard-4` on GKE, or vcpu and memory_gb for both.";
    TOO_SMALL_FOR_SYSTEM_POOL = 85, "Too small for a system pool",
        "Choose a larger machine.";
    MAXIMUM_BELOW_MINIMUM = 86, "A maximum below the minimum",
        "Swap the two.";
    POOL_NEVER_HAS_A_NODE = 87, "A pool that never has a node",
        "Remove the pool, or let it grow; `standby = true` keeps a cluster without workload nodes.";
    ZONES_CANNOT_SHARE_FIXED_SIZE = 88, "A fixed size that the zones cannot share",
        "Use one of the two sizes that the message names, or a range.";
    SAME_ZONE_TWICE = 89, "The same zone twice",
        "Remove one of the two.";
    NOT_AN_AZURE_ZONE = 90, "Not an Azure zone",
        "Write `1`, `2` or `3`.";
    ZONE_OF_ANOTHER_REGION = 91, "A zone of another region",
        "Name a zone of the cluster's region.";
    HIGH_AVAILABILITY_IN_ONE_ZONE = 92, "High availability in one zone",
        "Name two or three zones, or set `profile = \"cost_optimized\"`.";
    GKE_HAS_NO_EPHEMERAL_SYSTEM_DISK = 93, "GKE has no ephemeral system disk",
        "Use `balanced` or `ssd`.";
    SYSTEM_POOL_WITHOUT_NODES = 94, "A system pool without nodes",
        "Keep at least one node, better three.";
    SPOT_SYSTEM_POOL = 95, "A system pool that can be taken back",
        "Use spot nodes for workloads only.";
    TOO_FEW_PODS_FOR_SYSTEM_POOL = 96, "Too few pods for a system pool",
        "Allow 30 pods or more.";
    NOT_A_LABEL_KEY = 97, "Not the key of a Kubernetes label",
        "Rename the label.";
    LABEL_OF_THE_CLOUD = 98, "A label that the cloud owns",
        "Use a prefix of your own.";
    NOT_A_LABEL_VALUE = 99, "Not the value of a Kubernetes label",
        "Shorten it, or write it without other characters.";
    NOT_A_TAINT_KEY = 100, "Not the key of a taint",
        "Rename the taint.";
    TAINT_OF_THE_CLOUD = 101, "A taint that the cloud owns",
        "Use a prefix of your own.";
    NOT_A_TAINT_VALUE = 102, "Not the value of a taint",
        "Shorten it, or write it without other characters.";
    SAME_TAINT_TWICE = 103, "The same taint twice",
        "Remove one of the two.";
    TAINT_KEEPS_COMPONENTS_OUT = 104, "A taint that keeps the cluster's components out",
        "Remove it, or put it on a workload pool.";
    CLUSTERS_SHARE_ADDRESSES = 105, "Two clusters of one network share addresses",
        "Give each cluster a range of its own.";
    CLUSTERS_SHARE_RANGE = 106, "Two clusters use one secondary range",
        "Give each cluster secondary ranges of its own.";
    POOL_NAMES_CLASH = 107, "Two pools would have the same name in the cloud",
        "Rename one of the two.";
    DEPLOYER_BESIDE_EXISTING_IDENTITIES = 108, "No roles are assigned beside existing identities",
        "Remove deployer_admin, and name the deployer's group in admins.";
    STOPPED_CLUSTER_CANNOT_CHANGE = 109, "A stopped cluster cannot be changed",
        "Set `power = \"on\"` in the same change, or undo the other changes.";
    TWO_PLACES_FOR_ONE_CLOUD = 110, "Two places for one cloud",
        "Remove the endpoint: the simulator's file says where it is.";
    CREDENTIALS_IN_CLEAR = 111, "Credentials would travel in clear",
        "Use https.";
    CUSTOM_ENDPOINT = 112, "Custom endpoint",
        "Remove it unless you mean it.";
    SETTINGS_NOT_KNOWN = 113, "The provider's settings are not known yet",
        "Apply what the provider block depends on first, if this plan needs live facts.";
    NO_SIMULATED_CLOUD = 114, "No simulated cloud",
        "Start it with `paymesh sim up`; remove its file first where that is damaged.";
    SIMULATORS_CLOCK_WRONG = 115, "The simulator's clock is wrong",
        "Set another rate with `paymesh sim clock --rate 600`.";
    NO_DOWNGRADE = 116, "A cluster is not downgraded",
        "Nothing needs to be done: kubernetes_version is a minimum.";
    ONE_PROCESS_TWO_CONFIGURATIONS = 117, "One process, two configurations",
        "Start one provider process per configuration.";
    CUSTOM_CERTIFICATE_AUTHORITY = 118, "Custom certificate authority",
        "Remove it unless a proxy of yours needs it.";
    IMPORT_OF_ANOTHERS_OBJECT = 119, "Another state owns the object that is imported",
        "Apply, then let the other state forget it (`terraform state rm`, in its folder); or do not apply the import.";
    PROTECTED_FROM_REPLACEMENT = 120, "Deletion protection forbids the replacement",
        "Undo the change; or set `deletion_protection = false`, apply that alone, and plan again.";
    DISRUPTION = 121, "Apply will disturb what runs",
        "Read the steps; each resumes where it stopped if the apply is interrupted.";
    PROTECTED_FROM_DESTRUCTION = 122, "Deletion protection forbids the destruction",
        "The state still says true: set `deletion_protection = false` if the configuration does not say so yet, run `terraform apply` first, then destroy. If the resource was renamed, a `moved` block from `paymesh_cluster.OLD` to `paymesh_cluster.NEW` keeps the cluster instead.";
    UNREADABLE_PRIVATE_DATA = 123, "The private data cannot be read",
        "Use the provider version that wrote it, or remove the resource from the state and import it.";
    INTERRUPTED = 124, "An operation was interrupted or ran out of time",
        "Run the same command again, apply or destroy: it resumes there. What the cloud has begun goes on meanwhile.";
    STATE_NOT_WHOLE = 125, "The state of the object is not whole",
        "Refresh it with `terraform apply -refresh-only`.";
    TAINTED_OBJECT_IS_PROTECTED = 126, "Deletion protection keeps a tainted object",
        "Keep it with `terraform untaint paymesh_cluster.NAME`; or set `deletion_protection = false`, apply that alone, and plan again.";
    STALE = 127, "Another state owns the object now",
        "Forget this entry with `terraform state rm paymesh_cluster.NAME`.";
    PARTS_REMAIN = 128, "A cluster is gone, its parts are not",
        "Apply to make it anew, or destroy to take the rest away.";
    RESUMES = 129, "Apply will finish what is not whole",
        "Apply: it goes on from what is there. What the cloud has begun goes on meanwhile.";
    NOT_A_CLUSTER_ID = 130, "Not the id of a cluster",
        "Copy the resource id from the cloud's console.";
    NO_SUBSCRIPTION_KNOWN = 131, "No subscription is known",
        "Set `azure = { subscription_id = \"...\" }` in the provider block.";
    AZURE_CANNOT_BE_REACHED = 132, "Azure cannot be reached",
        "Check the provider's azure block and the credentials in the environment.";
    AKS_CLUSTER_NOT_FOUND = 133, "An AKS cluster cannot be found",
        "Check the credentials, the id, and what this identity may see: `az aks list --query [].id`.";
    NO_PROJECT_IS_KNOWN = 134, "No project is known",
        "Set `google = { project = \"...\" }` in the provider block.";
    GOOGLE_CANNOT_BE_REACHED = 135, "Google Cloud cannot be reached",
        "Check the provider's google block and the application default credentials.";
    GKE_CLUSTER_NOT_FOUND = 136, "A GKE cluster cannot be found",
        "Check the credentials, the id, and what this identity may see: `gcloud container clusters list`.";
    LOOKUP_NEEDS_SETTINGS = 137, "The provider's settings are not known yet",
        "Apply what the provider block depends on first.";
    NO_TOKEN_FOR_CLUSTER = 138, "No token for the cluster",
        "Check the credentials in the environment.";
    PLACE_NOT_KNOWN = 139, "The cluster's place is not known",
        "Name the subscription or project here or in the provider block.";
    REMARK = 140, "Something to know about an object",
        "Read the message.";
    BUSY = 141, "The cloud is still busy with an object",
        "Wait until its operation has ended, then apply again.";
    KEEPS_CHANGING = 142, "Somebody else keeps changing an object",
        "Find what else changes it, then apply again.";
    UNCERTAIN = 143, "It is uncertain what happened to a request",
        "Apply again: it looks first.";
    VANISHED = 144, "Somebody deleted an object meanwhile",
        "Apply again: it makes it anew.";
    NOT_YET_KNOWN = 145, "The cloud does not know yet what was just made",
        "Apply again in a minute.";
    NO_ANSWER = 146, "The cloud did not answer",
        "Wait and apply again; `terraform destroy -refresh=false` and `plan -refresh=false` do not ask.";
    DENIED = 147, "The identity may not do this",
        "Give the identity that runs Terraform the right that the message names.";
    USED_UP = 148, "Quota or capacity is used up",
        "Ask for more, or use another machine type or region.";
    REFUSED = 149, "The cloud refused a request",
        "Correct what the message names, then apply again.";
    OPERATION_FAILED = 150, "An operation failed",
        "Read the cloud's reason, then apply again: it goes on from what exists.";
    CHANGE_NOT_MADE = 151, "The cloud accepted a change and did not make it",
        "Find what else manages the object, or set the attribute to what the cloud shows.";
    FOREIGN = 152, "Somebody else owns an object",
        "Choose another name, or import it.";
    NAME_HELD = 153, "A deleted object still holds its name",
        "Choose another name, or wait until the cloud frees it.";
    NEEDS_REPLACEMENT = 154, "Only a new object can be as wanted",
        "Undo the change, delete the part that the message names, or replace all with `terraform apply -replace=ADDRESS`.";
    OTHER_HOLDER = 155, "Another state entry owns the object",
        "Remove this entry with `terraform state rm`, or give one of the states another `owner`.";
    CLAIMED_TWICE = 156, "Two resources want one object",
        "Give one of the two another name.";
    NEED_MISSING = 157, "Something that is needed does not exist",
        "Create it first, correct its name, or leave the name out.";
    TIMED_OUT = 158, "Out of time",
        "Apply again: it resumes; or raise `timeouts`.";
    DEFECT = 159, "A defect of the provider",
        "Report it with the log (`TF_LOG=TRACE`).";
    AKS_CHOOSES_DISK_BY_MACHINE = 160, "AKS chooses the disk by the machine",
        "Use `balanced`, or `ephemeral` for the machine's own disk.";
    SPOT_POOL_WITHOUT_SURGE = 161, "AKS adds no nodes to a spot pool",
        "Remove surge.";
    EXCLUSIONS_WITHOUT_WINDOW = 162, "Exclusions without a window",
        "Set maintenance.window: day, start and hours.";
    NOBODY_COULD_READ_KEY = 163, "Nobody could read the key",
        "Make an identity, give it `Key Vault Crypto User` on the key, and set azure.control_plane_identity_id.";
    ADMINS_BESIDE_EXISTING_IDENTITIES = 164, "No roles are assigned beside existing identities",
        "Name a group that has this member, or assign the role where the identity is made.";
    NO_TOKEN = 165, "No token could be had from the cloud",
        "Check the credentials, and that the token's issuer can be reached; the provider's page says what is tried, in which order.";
    THROTTLED = 166, "The cloud limits the rate of requests",
        "Wait a minute and run the command again; other programs of the same identity or project share the limit.";
    GKE_CANNOT_KEEP_DEPLOYER_OUT = 170, "GKE cannot keep the deployer out",
        "Remove deployer_admin, and limit the deployer's role in the project's IAM policy.";
    GKE_UPGRADES_EVERY_CLUSTER = 171, "GKE upgrades every cluster",
        "Use `stable`, and hold upgrades off with maintenance.exclusions.";
    WINDOW_TOO_SHORT = 172, "A window that is too short",
        "Raise `hours` to what the message names.";
    VERSION_TOO_OLD = 173, "No cloud offers such an old version",
        "Write the version in quotes: `\"1.30\"`.";
    CHANGED_OUTSIDE = 180, "An object was changed outside Terraform",
        "Apply to undo it, or write what was changed into the configuration.";
    CANNOT_BE_MOVED_HERE = 181, "A resource of another provider cannot be moved here",
        "Do what the message says, or import the cluster by its id.";
    LOOKUP_AMBIGUOUS = 183, "A lookup names no cluster, or two",
        "Set `cluster_id` alone; or `name`, `region`, and one of `azure` and `google`.";
    CLUSTER_HAS_NO_ADDRESS = 184, "The cluster has no address",
        "Start it, or wait until it is ready.";
    IMPORTED_DIFFERS = 185, "What an import does not change, a later apply does",
        "Read the steps. Write into the configuration what shall stay as it is, as far as it has an attribute.";
    NOBODY_COULD_SIGN_IN = 186, "Nobody could sign in to the cluster any more",
        "Name a group in admins, or set `deployer_admin = true`, before local accounts end.";
    POOLS_RENAMED = 187, "Pools change their keys and keep their nodes",
        "Nothing needs to be done: the plan shows them as removed and added, and no node is touched.";
    BEING_DELETED = 188, "The cloud is deleting what apply would make anew",
        "To finish a destroy: `terraform destroy`. Apply waits for the deletion and makes a new, empty one.";
    TAKES_OVER = 189, "The cluster exists already, and apply takes it over",
        "If another state has it, stop here and use that state: after the apply it can change the cluster no more. If its state is lost, or its apply was killed, go on.";
    NOT_AN_OWNER = 190, "Not an owner",
        "Write plain words in the provider's `owner`, such as `payments/prod`.";
    ANOTHER_OWNER = 191, "The object has another owner than the configuration",
        "Write the old `owner` again. To change it, let this state forget the object (`terraform state rm`) and import it under the new owner, with the `azure.resource_group` and `google.node_service_account` that it has; or destroy it under the old owner first.";
    AZURE_NO_SUCH_REGION = 200, "No such region",
        "Use one of the regions that the message names.";
    AZURE_CANNOT_BE_ASKED = 201, "Azure cannot be asked while planning",
        "Check `subscription_id` and the credentials.";
    NO_SUCH_RESOURCE_GROUP = 202, "No such resource group",
        "Create it, or remove resource_group to let the provider make its own.";
    AZURE_CLUSTER_EXISTS_ALREADY = 203, "The cluster exists already",
        "Import it with the block that the message prints, or choose another name.";
    AZURE_NO_SUCH_SUBNET = 204, "No such subnet",
        "Copy the resource id of the subnet.";
    SUBNET_RESERVED = 205, "The subnet is reserved for another service",
        "Use a subnet without delegation.";
    AZURE_SUBNET_TOO_SMALL = 206, "The subnet is too small",
        "Use a larger subnet, or lower max_nodes.";
    RANGE_OVERLAPS_NODES_NETWORK = 207, "The range overlaps the nodes' network",
        "Choose a range outside the virtual network.";
    AZURE_VERSION_NOT_OFFERED = 208, "The version is not offered",
        "Use one of the versions that the message names.";
    PATCH_NOT_OFFERED = 209, "The patch is not offered",
        "Write the minor version to accept any patch.";
    PREVIEW_VERSION = 210, "A preview version",
        "Use a version that is supported for production.";
    AZURE_MACHINE_TYPE_NOT_OFFERED_HERE = 211, "The machine type is not offered here",
        "Name another machine_type, or use another region.";
    AZURE_MACHINE_TOO_SMALL = 212, "Too small for a system pool",
        "Choose a machine with at least 2 vCPU and 4 GiB.";
    MACHINE_TYPE_CLOSED = 213, "The machine type is closed to the subscription",
        "Name another machine_type, or ask Azure support to open it.";
    AZURE_MACHINE_TYPE_NOT_OFFERED_IN_THESE_ZONES = 214, "The machine type is not offered in these zones",
        "Set zones to those that are offered, or name another machine_type.";
    AZURE_FAMILY_QUOTA = 215, "Not enough quota for the machine family",
        "Ask for more quota (`az quota`), or lower `min_nodes`.";
    AZURE_REGION_QUOTA = 216, "Not enough quota in the region",
        "Ask for more quota (`az quota`), or lower `min_nodes`.";
    NETWORK_IN_ANOTHER_REGION = 217, "A subnet in another region",
        "Use a subnet in the cluster's region.";
    NO_SUCH_LOG_WORKSPACE = 218, "No such log workspace",
        "Create the workspace first, or correct its id.";
    AZURE_NO_SUCH_REGISTRY = 219, "No such registry",
        "Create the registry first, or correct its id.";
    NO_SUCH_IDENTITY = 220, "No such identity",
        "Create the identity first, or correct its id.";
    MACHINE_TYPE_HAS_NO_SPOT = 221, "The machine type has no spot machines",
        "Set `spot = false`, or name another machine_type.";
    MACHINE_TYPE_HAS_NO_DISK = 222, "The machine type has no disk of its own",
        "Use `disk_type = \"balanced\"`, or a machine type with a local disk, such as Standard_D4ds_v5.";
    AZURE_SPOT_QUOTA = 223, "Not enough quota for spot machines",
        "Ask for more quota (`az quota`), or lower `min_nodes`.";
    GOOGLE_NO_SUCH_REGION = 240, "No such region",
        "Use one of the regions that the message names.";
    GOOGLE_CANNOT_BE_ASKED = 241, "Google Cloud cannot be asked while planning",
        "Check the project and the credentials, and that the identity may read the project (`roles/compute.viewer`).";
    GOOGLE_CLUSTER_EXISTS_ALREADY = 242, "The cluster exists already",
        "Import it with the block that the message prints, or choose another name.";
    GOOGLE_NO_SUCH_SUBNET = 243, "No such subnet",
        "Copy the resource name of the subnet.";
    NO_SUCH_SECONDARY_RANGE = 244, "No such secondary range",
        "Name one of the subnet's ranges, or add the range to the subnet.";
    GOOGLE_SUBNET_TOO_SMALL = 245, "The subnet is too small",
        "Use a larger subnet, or lower `max_nodes`.";
    GOOGLE_TOO_FEW_POD_ADDRESSES = 246, "Too few addresses for pods",
        "Use a larger range, or lower `max_nodes` or `max_pods`.";
    CONTROL_PLANE_SHARES_ADDRESSES = 247, "The control plane shares addresses with the subnet",
        "Choose a /28 that nothing in the network uses.";
    GOOGLE_NO_SUCH_REGISTRY = 248, "No such registry",
        "Create the repository first, or correct its id.";
    NO_SUCH_KEY = 249, "No such key",
        "Create the key first, or correct its id.";
    NO_SUCH_SERVICE_ACCOUNT = 250, "No such service account",
        "Create the account first, or remove it: the cluster then gets one of its own.";
    GOOGLE_VERSION_NOT_OFFERED = 251, "The version is not offered",
        "Use one of the versions that the message names.";
    NO_SUCH_ZONE = 252, "No such zone",
        "Use some of the zones that the message names.";
    GOOGLE_MACHINE_TYPE_NOT_OFFERED_HERE = 253, "The machine type is not offered here",
        "Name another `machine_type`, or use another region.";
    NOT_EVERY_ZONE_HAS_MACHINES = 254, "Not every zone has the machines of a pool",
        "Name the zones that have them, or another `machine_type`.";
    GOOGLE_MACHINE_TYPE_NOT_OFFERED_IN_THESE_ZONES = 255, "The machine type is not offered in these zones",
        "Set `zones` to those that offer it, or name another `machine_type`.";
    GOOGLE_NOT_ENOUGH_QUOTA = 256, "Not enough quota",
        "Ask for more quota (IAM & Admin, Quotas), or lower `min_nodes`.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_sorted_and_each_code_is_given_once() {
        assert!(ROWS.is_sorted_by(|(Code(one), ..), (Code(next), ..)| one < next));
    }
}
