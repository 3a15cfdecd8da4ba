//! `network.toml`: from the fragment to [`NetworkSettings`], with everything that is wrong with it.

use super::objects::{self, Objects};
use super::problem::{Invalid, Problems};
use super::scenario::Links;
use super::settings::{
    CredentialsSettings, DataSetSettings, EmulatorSettings, EncryptionSettings, FeedbackSettings, LearningSettings,
    NetworkSettings, NodeSettings, RhythmSettings, S3StoreSettings, ScrubSettings, StoreSettings,
};
use super::{constraints, defaults, fragment, membership, prices, quantity};
use crate::clock::TimeScale;
use crate::domain::constraints::Constraints;
use crate::domain::environment::Availability;
use crate::domain::ids::{DataSetName, NodeId};
use crate::domain::job_gap::{JobGap, Recurring};
use crate::domain::placement::Link;
use crate::domain::secret::{Secret, presentable};
use crate::domain::store_url::StoreUrl;
use crate::domain::text::without_userinfo;
use crate::domain::units::show_duration;
use agent_arrivals::Profile;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// More missing links than these are counted, not listed.
const LISTED_LINKS: usize = 10;

/// What can be made of the file; worth something only when no problem was noted.
pub fn validate(network: &fragment::Network, problems: &mut Problems) -> Option<NetworkSettings> {
    let ids = node_ids(network);
    let knowledge = problems.text(("", "knowledge"), network.knowledge.as_ref(), defaults::KNOWLEDGE);
    let knowledge = problems.check("knowledge", super::knowledge(knowledge));
    problems.number(("", "time_scale"), network.time_scale, defaults::TIME_SCALE);
    let time_scale = problems.check("time_scale", time_scale(network));
    let emulator = problems.text(("", "emulator"), network.emulator.as_ref(), defaults::EMULATOR);
    let emulator = problems.check("emulator", self::emulator(emulator));
    let data_sets = data_sets(network, &ids, problems);
    objects::refuse_overlaps(&data_sets, problems);
    let nodes = nodes(&network.node, links_are(network), problems);
    for data_set in data_sets.values() {
        constraints::refuse_contradictions(data_set, &data_set_place(network, &data_set.name.0), &nodes, problems);
    }
    let links = links(&network.link, &ids, links_are(network), problems);
    let tariff = prices::tariff(network, &ids, problems);
    let feedback = feedback(&network.feedback, problems);
    let learning = learning(&network.learning, problems);
    let rhythm = rhythm(&network.rhythm, problems);
    let membership = membership::membership(&network.membership, problems);
    Some(NetworkSettings {
        knowledge: knowledge?,
        time_scale: time_scale?,
        emulator: emulator?,
        data_sets,
        nodes,
        links,
        tariff,
        feedback: feedback?,
        learning: learning?,
        rhythm: rhythm?,
        membership: membership?,
    })
}

/// The nodes that there are, also when something else is wrong with them.
pub fn node_ids(network: &fragment::Network) -> BTreeSet<NodeId> {
    network.node.iter().filter_map(|node| node_id(node.id).ok()).collect()
}

/// A node's number: from 1.
pub fn node_id(written: i64) -> Result<NodeId, Invalid> {
    quantity::whole(written, 1..=i64::from(u32::MAX)).map(NodeId)
}

/// A node that exists.
pub fn existing_node(written: i64, ids: &BTreeSet<NodeId>) -> Result<NodeId, Invalid> {
    match node_id(written).ok().filter(|id| ids.contains(id)) {
        Some(id) => Ok(id),
        None => Err(Invalid::new(
            format!("there is no node {written}"),
            format!("nodes are {}; add a `[[node]]` with `id = {written}` to network.toml, or name another", join(ids)),
        )),
    }
}

fn join(ids: &BTreeSet<NodeId>) -> String {
    match ids.is_empty() {
        true => "not there yet".to_owned(),
        false => ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Also when something else is wrong with the network.
pub fn time_scale(network: &fragment::Network) -> Result<TimeScale, Invalid> {
    quantity::time_scale(network.time_scale.unwrap_or(defaults::TIME_SCALE))
}

/// Whether latency is injected, or what links are like is to be measured.
pub fn links_are(network: &fragment::Network) -> Links {
    match network.emulator.as_deref().unwrap_or(defaults::EMULATOR) {
        "none" => Links::Measured,
        _ => Links::Injected,
    }
}

fn emulator(text: &str) -> Result<EmulatorSettings, Invalid> {
    match text {
        "embedded" => Ok(EmulatorSettings::Embedded),
        "none" => Ok(EmulatorSettings::None),
        address if address.contains("://") => {
            quantity::url(address, "http://127.0.0.1:8474").map(EmulatorSettings::Toxiproxy)
        }
        other => Err(Invalid::new(
            format!("`{}` is not an emulator", without_userinfo(other)),
            r#"use "embedded", "none" or the address of a server with toxiproxy's API, "http://HOST:8474""#,
        )),
    }
}

/// Those that can be read.
fn data_sets(
    network: &fragment::Network,
    ids: &BTreeSet<NodeId>,
    problems: &mut Problems,
) -> BTreeMap<DataSetName, DataSetSettings> {
    let mut data_sets: BTreeMap<DataSetName, DataSetSettings> = BTreeMap::new();
    let scale = self::time_scale(network).unwrap_or(TimeScale::REAL);
    for written in &network.data_set {
        let place = data_set_place(network, &written.name);
        let Some(data_set) = data_set(written, &place, scale, ids, problems) else { continue };
        if let Some(twice) = data_sets.insert(data_set.name.clone(), data_set) {
            let problem = format!("there are two of the name `{}`", twice.name);
            problems.add("data_set", Invalid::new(problem, "give each `[[data_set]]` a `name` of its own"));
        }
    }
    if network.data_set.is_empty() {
        let help = "add a `[data_set]` with `name`, `object_key` and `first_node`";
        problems.add("data_set", Invalid::new("there are no data sets", help));
    }
    data_sets
}

/// Where one is written: named where there are several.
fn data_set_place(network: &fragment::Network, name: &str) -> String {
    match network.data_set.len() {
        0 | 1 => "data_set".to_owned(),
        _ => format!("data_set {}", name.escape_debug()),
    }
}

fn data_set(
    written: &fragment::DataSet,
    place: &str,
    scale: TimeScale,
    ids: &BTreeSet<NodeId>,
    problems: &mut Problems,
) -> Option<DataSetSettings> {
    let name = problems.check(format!("{place}.name"), quantity::name(&written.name));
    let objects = objects::objects(written, place, problems);
    let records = written.generate_records.map(|records| generate_records(records, scale)).transpose();
    let generate_records = problems.check(format!("{place}.generate_records"), records);
    let first_node = problems.check(format!("{place}.first_node"), existing_node(written.first_node, ids));
    let constraints = constraints::constraints(written.constraints.as_ref(), place, ids, problems);
    let origin = first_node.and_then(|first| {
        problems.check(format!("{place}.origin"), constraints::origin(written.origin.as_deref(), first))
    });
    let (constraints, origin) = (constraints?, origin?);
    let Objects { object_key, selection } = objects?;
    Some(DataSetSettings {
        name: name?.into(),
        object_key,
        selection,
        generate_records: generate_records?,
        first_node: first_node?,
        constraints: Constraints { origin: origin.or(constraints.origin), ..constraints },
    })
}

/// At least one, at the time scale too.
fn generate_records(written: i64, scale: TimeScale) -> Result<u64, Invalid> {
    let records = quantity::whole(written, 1..=1_000_000_000_000)?;
    match scale.shrink(records) {
        0 => Err(Invalid::new(
            format!("{written} is less than a record at time_scale = {}", scale.factor()),
            "data shrinks as time does: ask for more, or lower `time_scale`",
        )),
        _ => Ok(records),
    }
}

/// Those that can be read.
pub fn nodes(written: &[fragment::Node], are: Links, problems: &mut Problems) -> BTreeMap<NodeId, NodeSettings> {
    let mut nodes: BTreeMap<NodeId, NodeSettings> = BTreeMap::new();
    for written in written {
        let Some(node) = node(written, are, problems) else { continue };
        let place = format!("node {}", node.id);
        if let Some(other) = nodes.values().find(|other| same_store(other, &node)) {
            let problem = format!("is also the store of node {}", other.id);
            let help = "give each node an endpoint or a bucket of its own: a move deletes the source's object";
            problems.add(format!("{place}: store"), Invalid::new(problem, help));
        }
        if let Some(other) = nodes.get(&node.id) {
            let problem = format!("`{}` and `{}` have the same id", other.name, node.name);
            problems.add(place, Invalid::new(problem, "give each `[[node]]` an `id` of its own"));
        }
        nodes.insert(node.id, node);
    }
    if written.is_empty() {
        let help = "add a `[[node]]` with an `id`";
        problems.add("node", Invalid::new("there are no nodes", help));
    }
    nodes
}

fn same_store(one: &NodeSettings, other: &NodeSettings) -> bool {
    match (&one.store, &other.store) {
        (StoreSettings::S3(store), StoreSettings::S3(like)) => {
            let place = |url: &StoreUrl| (url.endpoint().to_owned(), url.bucket().to_owned());
            one.id != other.id && place(&store.url) == place(&like.url)
        }
        (StoreSettings::Embedded { .. }, _) | (_, StoreSettings::Embedded { .. }) => false,
    }
}

fn node(written: &fragment::Node, are: Links, problems: &mut Problems) -> Option<NodeSettings> {
    let place = |key: &str| format!("node {}: {key}", written.id);
    let id = problems.check(place("id"), node_id(written.id));
    let (item, unnamed) = (format!("node {}", written.id), format!("node-{}", written.id));
    let name = problems.text((&item, "name"), written.name.as_ref(), &unnamed);
    let name = problems.check(place("name"), quantity::name(name));
    let availability = availability(written, &item, are, problems);
    let capacity = written.capacity.as_ref().map(quantity::positive_size).transpose();
    let capacity_bytes = problems.check(place("capacity"), capacity);
    let labels = problems.check(place("labels"), constraints::labels(written.labels.as_ref()));
    let store = store(&written.store, &place("store"), problems);
    Some(NodeSettings {
        id: id?,
        name: name?,
        availability: availability?,
        capacity_bytes: capacity_bytes?,
        labels: labels?,
        store: store?,
    })
}

/// On a real network what nobody declares is measured. In a laboratory there is nothing to measure.
fn availability(written: &fragment::Node, item: &str, are: Links, problems: &mut Problems) -> Option<Availability> {
    if written.availability.is_none() && are == Links::Measured {
        return Some(Availability::default());
    }
    let declared = problems.text((item, "availability"), written.availability.as_ref(), defaults::AVAILABILITY);
    problems.check(format!("{item}: availability"), quantity::percent(declared)).map(Availability::from)
}

fn store(written: &fragment::Store, place: &str, problems: &mut Problems) -> Option<StoreSettings> {
    let kind = written.kind.as_deref().unwrap_or(defaults::STORE_KIND);
    match kind {
        "embedded" => embedded_store(written, place, problems),
        "s3" => s3_store(written, place, problems).map(StoreSettings::S3),
        other => {
            let problem = format!("`{other}` is not a kind of store");
            problems.add(format!("{place}.kind"), Invalid::new(problem, r#"use "embedded" or "s3""#));
            None
        }
    }
}

fn embedded_store(written: &fragment::Store, place: &str, problems: &mut Problems) -> Option<StoreSettings> {
    let fragment::Store { endpoint, region, bucket, path_style, credentials, ca, .. } = written;
    let fragment::Store { encryption, kms_key, delete_versions, .. } = written;
    let of_s3 = [
        ("endpoint", endpoint.is_some()),
        ("region", region.is_some()),
        ("bucket", bucket.is_some()),
        ("path_style", path_style.is_some()),
        ("credentials", credentials.is_some()),
        ("ca", ca.is_some()),
        ("encryption", encryption.is_some()),
        ("kms_key", kms_key.is_some()),
        ("delete_versions", delete_versions.is_some()),
    ];
    refuse(&of_s3, &["s3"], place, problems);
    let listen = written.listen.as_deref().unwrap_or(defaults::STORE_LISTEN);
    let listen = listen.parse().map_err(|_| {
        let help = format!("write it like `{}` (port 0: a free one)", defaults::STORE_LISTEN);
        Invalid::new(format!("`{listen}` is not an IP address and port"), help)
    });
    let listen = problems.check(format!("{place}.listen"), listen);
    let advertise = written.advertise.as_deref().map(advertised).transpose();
    let advertise = problems.check(format!("{place}.advertise"), advertise);
    Some(StoreSettings::Embedded { listen: listen?, advertise: advertise? })
}

/// The address of an embedded store, which speaks no TLS.
fn advertised(text: &str) -> Result<String, Invalid> {
    const EXAMPLE: &str = "http://agent1:9000";
    let address = quantity::url(text, EXAMPLE)?;
    match address.starts_with("http://") {
        true => Ok(address),
        false => Err(Invalid::new("an embedded store speaks no TLS", format!("write it like `{EXAMPLE}`"))),
    }
}

fn s3_store(written: &fragment::Store, place: &str, problems: &mut Problems) -> Option<S3StoreSettings> {
    let fragment::Store { listen, advertise, endpoint, region, bucket, path_style, credentials, ca, .. } = written;
    let encryption = self::encryption(written, place, problems);
    let of_embedded = [("listen", listen.is_some()), ("advertise", advertise.is_some())];
    refuse(&of_embedded, &["embedded"], place, problems);
    let read = |text: &String| quantity::url(text, "http://10.0.0.4:9000");
    let endpoint = problems.require(&format!("{place}.endpoint"), endpoint.as_ref(), read);
    let bucket = problems.require(&format!("{place}.bucket"), bucket.as_ref(), |text| quantity::name(text));
    let region = quantity::name(region.as_deref().unwrap_or(defaults::REGION));
    let region = problems.check(format!("{place}.region"), region);
    let ca = problems.check(format!("{place}.ca"), ca.as_deref().map(quantity::filled).transpose());
    let credentials = match credentials {
        Some(written) => self::credentials(written, &format!("{place}.credentials"), problems),
        None => Some(CredentialsSettings::Environment),
    };
    let (endpoint, bucket, region) = (endpoint?, bucket?, region?);
    let url = StoreUrl::new(&endpoint, &bucket, &region);
    let url = problems.check(place, url.map_err(|error| Invalid::new(error.to_string(), "correct what it names")));
    let ca = ca?.map(PathBuf::from);
    if ca.is_some() && endpoint.starts_with("http://") {
        let help = "remove it, or write the endpoint with `https://`";
        problems.add(format!("{place}.ca"), Invalid::new("is only for an endpoint with `https://`", help));
    }
    Some(S3StoreSettings {
        url: url?.with_path_style(path_style.unwrap_or(defaults::PATH_STYLE)),
        credentials: credentials?,
        ca,
        encryption: encryption?,
        delete_versions: written.delete_versions.unwrap_or(false),
    })
}

/// What the store is asked to encrypt objects with, if with anything.
fn encryption(written: &fragment::Store, place: &str, problems: &mut Problems) -> Option<Option<EncryptionSettings>> {
    let key = written.kms_key.as_deref().map(|key| presentable(key).map(str::to_owned)).transpose();
    let key = key.map_err(|error| Invalid::new(error.to_string(), "write the key's id, ARN or alias"));
    let key = problems.check(format!("{place}.kms_key"), key)?;
    match (written.encryption.as_deref(), key) {
        (Some("aws:kms"), key) => Some(Some(EncryptionSettings::Kms { key })),
        (_, Some(_)) => {
            let help = r#"remove it, or set `encryption = "aws:kms"`"#;
            problems.add(format!("{place}.kms_key"), Invalid::new(r#"is only for `encryption = "aws:kms"`"#, help));
            None
        }
        (None, None) => Some(None),
        (Some("AES256"), None) => Some(Some(EncryptionSettings::Aes256)),
        (Some(other), None) => {
            let problem = format!("`{}` is no encryption that stores are asked for", other.escape_debug());
            problems.add(format!("{place}.encryption"), Invalid::new(problem, r#"use "AES256" or "aws:kms""#));
            None
        }
    }
}

fn credentials(written: &fragment::Credentials, place: &str, problems: &mut Problems) -> Option<CredentialsSettings> {
    const HELP: &str = "write either `profile`, or `access_key_id` and `secret_access_key`; without this table they come \
                        from the environment";
    let fragment::Credentials { profile, access_key_id, secret_access_key, session_token } = written;
    let has_keys = access_key_id.is_some() || secret_access_key.is_some() || session_token.is_some();
    match (profile, access_key_id, secret_access_key) {
        (Some(profile), ..) if !has_keys => {
            let profile = problems.check(format!("{place}.profile"), quantity::filled(profile));
            profile.map(CredentialsSettings::Profile)
        }
        (None, Some(id), Some(secret)) => {
            let token = session_token.as_ref().map(Secret::expose);
            let parts = [
                ("access_key_id", Some(id.as_str())),
                ("secret_access_key", Some(secret.expose())),
                ("session_token", token),
            ];
            for (key, text) in parts {
                let shown = text.map(presentable).transpose();
                let shown = shown.map_err(|error| {
                    Invalid::new(error.to_string(), "write visible ASCII, as the store gave it to you")
                });
                problems.check(format!("{place}.{key}"), shown);
            }
            Some(CredentialsSettings::Keys {
                access_key_id: id.clone(),
                secret_access_key: secret.clone(),
                session_token: session_token.clone(),
            })
        }
        (Some(_), ..) => {
            problems.add(place, Invalid::new("names a profile and keys as well", HELP));
            None
        }
        (None, ..) => {
            problems.add(place, Invalid::new("is not complete", HELP));
            None
        }
    }
}

/// Keys that belong to other `kinds` do nothing here: somebody believes that they do.
pub fn refuse(keys: &[(&str, bool)], kinds: &[&str], place: &str, problems: &mut Problems) {
    for (key, _) in keys.iter().filter(|(_, is_written)| *is_written) {
        let any_of =
            |written: &dyn Fn(&str) -> String| kinds.iter().map(|kind| written(kind)).collect::<Vec<_>>().join(" or ");
        let problem = format!("is only for kind {}", any_of(&|kind| format!("\"{kind}\"")));
        let help = format!("remove it, or set {}", any_of(&|kind| format!("`kind = \"{kind}\"`")));
        problems.add(format!("{place}.{key}"), Invalid::new(problem, help));
    }
}

/// Those that are stated and can be read, each direction, in order. Where they are injected, every two nodes need both.
fn links(written: &[fragment::Link], ids: &BTreeSet<NodeId>, are: Links, problems: &mut Problems) -> Vec<Link> {
    let (directions, all_ends_known) = directions(written, ids, are, problems);
    // A link with a mistyped node is not missing: one mistake, one message.
    if all_ends_known && are == Links::Injected {
        report_missing_links(&directions, ids, problems);
    }
    directions.into_values().flatten().collect()
}

/// Each direction that is written, and whether all its ends are nodes.
pub fn directions(
    written: &[fragment::Link],
    ids: &BTreeSet<NodeId>,
    are: Links,
    problems: &mut Problems,
) -> (BTreeMap<(NodeId, NodeId), Option<Link>>, bool) {
    let mut directions: BTreeMap<(NodeId, NodeId), Option<Link>> = BTreeMap::new();
    let mut all_ends_known = true;
    for (index, written) in written.iter().enumerate() {
        let place = link_place(index, written);
        let values = latency_and_jitter(written, &place, are, problems);
        let Some(ends) = problems.check(&place, ends(written, ids)) else {
            all_ends_known = false;
            continue;
        };
        if let Some((from, to)) = ends.iter().find(|ends| directions.contains_key(ends)) {
            let problem = format!("the way from node {from} to node {to} has another link already");
            let help = "keep one; `between` is both directions, `from` and `to` are one";
            problems.add(&place, Invalid::new(problem, help));
        }
        directions.extend(ends.into_iter().map(|(from, to)| {
            let link = values.map(|(latency_ms, jitter_ms)| Link { from, to, latency_ms, jitter_ms });
            ((from, to), link)
        }));
    }
    (directions, all_ends_known)
}

/// `link 1-2`, `link 1 to 2`, or its number in the file.
pub fn link_place(index: usize, written: &fragment::Link) -> String {
    match (written.between.as_deref(), written.from, written.to) {
        (Some([a, b]), None, None) => format!("link {a}-{b}"),
        (None, Some(from), Some(to)) => format!("link {from} to {to}"),
        _ => format!("link number {}", index + 1),
    }
}

/// In milliseconds. `None` is no problem where links are measured.
pub fn latency_and_jitter(
    written: &fragment::Link,
    place: &str,
    are: Links,
    problems: &mut Problems,
) -> Option<(f64, f64)> {
    if (written.latency.is_none() && written.jitter.is_none()) && are == Links::Measured {
        return None;
    }
    let no_jitter = fragment::Quantity(defaults::JITTER.to_owned());
    let latency = problems.require(&format!("{place}: latency"), written.latency.as_ref(), quantity::latency_ms);
    let jitter =
        problems.check(format!("{place}: jitter"), quantity::latency_ms(written.jitter.as_ref().unwrap_or(&no_jitter)));
    latency.zip(jitter)
}

/// From and to, for each direction.
pub fn ends(written: &fragment::Link, ids: &BTreeSet<NodeId>) -> Result<Vec<(NodeId, NodeId)>, Invalid> {
    const HELP: &str = "write `between = [1, 2]` for both directions, or `from = 1` and `to = 2` for one";
    let (from, to, both) = match (written.between.as_deref(), written.from, written.to) {
        (Some([a, b]), None, None) => (*a, *b, true),
        (None, Some(from), Some(to)) => (from, to, false),
        (Some(_), None, None) => return Err(Invalid::new("`between` does not name two nodes", HELP)),
        (Some(_), _, _) => return Err(Invalid::new("has `between` together with `from` or `to`", HELP)),
        (None, _, _) => return Err(Invalid::new("does not say which nodes it joins", HELP)),
    };
    let (from, to) = (existing_node(from, ids)?, existing_node(to, ids)?);
    if from == to {
        return Err(Invalid::new(
            format!("leads from node {from} to itself"),
            "remove it: the way from a node to itself has no latency",
        ));
    }
    Ok(if both { vec![(from, to), (to, from)] } else { vec![(from, to)] })
}

/// Every two nodes need links in both directions.
fn report_missing_links(
    directions: &BTreeMap<(NodeId, NodeId), Option<Link>>,
    ids: &BTreeSet<NodeId>,
    problems: &mut Problems,
) {
    let exists = |from: &NodeId, to: &NodeId| directions.contains_key(&(*from, *to));
    let pairs = ids.iter().flat_map(|a| ids.range(..*a).map(move |b| (b, a)));
    let missing: Vec<_> = pairs.filter(|(a, b)| !exists(a, b) || !exists(b, a)).collect();
    for (a, b) in missing.iter().take(LISTED_LINKS) {
        let (problem, ends) = match (exists(a, b), exists(b, a)) {
            (true, _) => (format!("there is no link from node {b} to node {a}"), format!("from = {b}` and `to = {a}")),
            (_, true) => (format!("there is no link from node {a} to node {b}"), format!("from = {a}` and `to = {b}")),
            _ => (format!("there is no link between nodes {a} and {b}"), format!("between = [{a}, {b}]")),
        };
        problems.add("link", Invalid::new(problem, format!("add a `[[link]]` with `{ends}` and a `latency`")));
    }
    if let Some(more) = missing.len().checked_sub(LISTED_LINKS + 1) {
        let help = "every two nodes need a link in both directions";
        problems.add("link", Invalid::new(format!("{} more pairs of nodes have no link", more + 1), help));
    }
}

fn feedback(written: &fragment::Feedback, problems: &mut Problems) -> Option<FeedbackSettings> {
    let window = problems.text(("feedback", "window"), written.window.as_ref(), defaults::WINDOW);
    let window = problems.check("feedback.window", quantity::positive_duration(window));
    let threshold = problems.number(("feedback", "threshold"), written.threshold, defaults::THRESHOLD);
    let threshold = problems.check("feedback.threshold", quantity::ratio(threshold));
    let grace = problems.text(("feedback", "grace"), written.grace.as_ref(), defaults::GRACE);
    let grace = problems.check("feedback.grace", quantity::duration(grace));
    Some(FeedbackSettings { window: window?, threshold: threshold?, grace: grace? })
}

fn learning(written: &fragment::Learning, problems: &mut Problems) -> Option<LearningSettings> {
    let mut ratio = |key: &str, written: Option<f64>, default: f64| {
        let value = problems.number(("learning", key), written, default);
        problems.check(format!("learning.{key}"), quantity::ratio(value))
    };
    let learning_rate = ratio("learning_rate", written.learning_rate, defaults::LEARNING_RATE);
    let exploration = ratio("exploration", written.exploration, defaults::EXPLORATION);
    let penalty = ratio("penalty", written.penalty, defaults::PENALTY);
    let max_copies = problems.number(("learning", "max_copies"), written.max_copies, defaults::MAX_COPIES);
    let max_copies = problems.check("learning.max_copies", quantity::whole(max_copies, 1..=1000));
    Some(LearningSettings {
        learning_rate: learning_rate?,
        exploration: exploration?,
        penalty: penalty?,
        max_copies: max_copies?,
    })
}

fn job_gap_of(written: &toml::Table) -> Result<Recurring, Invalid> {
    let profile: Result<Profile, toml::de::Error> = written.clone().try_into();
    let help = "docs/load.md shows every form of a profile; its rates are jobs in a second";
    let profile = profile.map_err(|error| Invalid::new(error.message(), help))?;
    let help = "let at least one come: its rates are jobs in a second";
    Recurring::new(profile).map_err(|error| Invalid::new(error.to_string(), help))
}

fn rhythm(written: &fragment::Rhythm, problems: &mut Problems) -> Option<RhythmSettings> {
    type Read = fn(&str) -> Result<Duration, Invalid>;
    let (mean, profile) = match &written.job_gap {
        Some(fragment::JobGap::Mean(mean)) => (Some(mean.clone()), None),
        Some(fragment::JobGap::Profile(profile)) => (None, Some(profile)),
        None => (None, None),
    };
    let recurring = profile.map(|profile| problems.check("rhythm.job_gap", job_gap_of(profile)));
    let mut pace = |key: &str, written: &Option<fragment::Quantity>, default: &str, read: Read| {
        let text = problems.text(("rhythm", key), written.as_ref(), default);
        problems.check(format!("rhythm.{key}"), read(text))
    };
    let (any, positive): (Read, Read) = (quantity::duration, quantity::positive_duration);
    let job_gap = match recurring {
        Some(recurring) => recurring.map(JobGap::from),
        None => pace("job_gap", &mean, defaults::JOB_GAP, any).map(JobGap::Mean),
    };
    let deviation = pace("job_gap_deviation", &written.job_gap_deviation, defaults::JOB_GAP_DEVIATION, any);
    let heartbeat = pace("heartbeat", &written.heartbeat, defaults::HEARTBEAT, positive);
    let lease = pace("lease", &written.lease, defaults::LEASE, positive);
    let drain = pace("drain", &written.drain, defaults::DRAIN, positive);
    let probes = problems.number(("rhythm", "probes"), written.probes, defaults::PROBES);
    let probes = problems.check("rhythm.probes", quantity::whole(probes, 1..=1000));
    let watch = match problems.text(("rhythm", "watch"), written.watch.as_ref(), defaults::WATCH) {
        "never" => Ok(None),
        every => quantity::positive_duration(every).map(Some),
    };
    let watch = problems.check("rhythm.watch", watch);
    let scrub = problems.check("rhythm.scrub", written.scrub.as_ref().map(quantity::positive_duration).transpose());
    let rate = quantity::bytes_per_second(written.scrub_rate.as_ref().map_or(defaults::SCRUB_RATE, AsRef::as_ref));
    let rate = problems.check("rhythm.scrub_rate", rate);
    let (heartbeat, lease) = (heartbeat?, lease?);
    if lease <= heartbeat {
        let help = "make `lease` longer: a claim must not run out between two signs of life of its holder";
        let problem =
            format!("{} is not longer than the heartbeat of {}", show_duration(lease), show_duration(heartbeat));
        problems.add("rhythm.lease", Invalid::new(problem, help));
    }
    Some(RhythmSettings {
        job_gap: job_gap?,
        job_gap_deviation: deviation?,
        heartbeat,
        lease,
        drain: drain?,
        probes: probes?,
        watch: watch?,
        scrub: scrub?.zip(rate).map(|(every, bytes_per_s)| ScrubSettings { every, bytes_per_s }),
    })
}
