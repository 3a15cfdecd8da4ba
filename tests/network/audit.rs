//! Counting again what agents did, from the SQLite file and the object files, with code of its own: nothing here calls the
//! agent's. Triggers write down each closing of a window and each move of a counter as it happens.

use super::{PATIENCE, wait_until};
use rusqlite::{Connection, Row};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TRIGGERS: &str = "
    create table if not exists audit_closings
        (seq integer primary key, event integer, action text, outcome text, feedback_sum real, answered integer,
            others integer);
    create table if not exists audit_counters (seq integer primary key, action text, value integer);
    create table if not exists audit_reopenings (event integer);
    create trigger if not exists audit_closing after update of state on events
        when old.state = 'open' and new.state = 'closed' begin
        insert into audit_closings (event, action, outcome, feedback_sum, answered, others)
            select new.id, new.action, new.outcome, new.feedback_sum,
                (select count(*) from feedback where event = new.id),
                (select count(*) from agents where id <> new.agent);
    end;
    create trigger if not exists audit_reopening after update of state on events
        when old.state = 'closed' and new.state <> 'closed' begin
        insert into audit_reopenings values (new.id);
    end;
    create trigger if not exists audit_counter_set after insert on counters begin
        insert into audit_counters (action, value) values (new.action, new.value);
    end;
    create trigger if not exists audit_counter_changed after update on counters begin
        insert into audit_counters (action, value) values (new.action, new.value);
    end;";

/// A network's data directory.
pub struct Audit {
    data: PathBuf,
    pub table: Connection,
}

/// A row of `replicas`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replica {
    pub id: i64,
    pub node: u32,
    pub object_key: String,
    pub state: String,
}

/// What the catalogue says the objects must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    pub bytes: u64,
    pub sha256: String,
}

/// How feedback becomes counters; the shipped configuration's threshold.
const THRESHOLD: f64 = 0.3;

impl Audit {
    /// A copy of the table, from a technology that is not read here.
    pub fn of(table: Connection, data: &Path) -> Self {
        Self { data: data.to_owned(), table }
    }

    /// Opens a table that is there; `None` while it is not complete.
    pub fn open(data: &Path) -> Option<Self> {
        let file = data.join("network.db");
        if !file.is_file() {
            return None;
        }
        let table = Connection::open(file).ok()?;
        table.busy_timeout(Duration::from_secs(30)).ok()?;
        let complete: i64 = table.query_row("select count(*) from schema_version", [], |row| row.get(0)).ok()?;
        (complete > 0).then(|| Self { data: data.to_owned(), table })
    }

    /// Waits for the table that a process is making, and has it watched before anybody acts.
    pub fn of_new(data: &Path) -> Self {
        let mut audit = None;
        wait_until("the table is made", PATIENCE, || {
            audit = Self::open(data);
            audit.is_some()
        });
        let audit = audit.expect("it was just opened");
        audit.watch();
        audit
    }

    /// From now on every closing and every move of a counter is written down.
    fn watch(&self) {
        self.table.execute_batch(TRIGGERS).expect("triggers can be made");
    }

    pub fn count(&self, sql: &str) -> i64 {
        self.table.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub fn rows<T>(&self, sql: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
        let all = || self.table.prepare(sql)?.query_map([], read)?.collect::<rusqlite::Result<Vec<T>>>();
        all().unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub fn replicas(&self) -> Vec<Replica> {
        self.rows("select id, node, object_key, state from replicas order by id", |row| {
            Ok(Replica { id: row.get(0)?, node: row.get(1)?, object_key: row.get(2)?, state: row.get(3)? })
        })
    }

    /// The node that each agent reads.
    pub fn references(&self) -> BTreeMap<u32, u32> {
        let sql = "select agent, node from reference_replicas join replicas on replicas.id = replica";
        self.rows(sql, |row| Ok((row.get(0)?, row.get(1)?))).into_iter().collect()
    }

    pub fn content(&self) -> Content {
        let sql = "select bytes, sha256 from data_sets";
        self.rows(sql, |row| Ok(Content { bytes: row.get::<_, i64>(0)?.cast_unsigned(), sha256: row.get(1)? }))
            .remove(0)
    }

    pub fn counters(&self) -> BTreeMap<String, u32> {
        let sql = "select action, value from counters where value > 0";
        self.rows(sql, |row| Ok((row.get(0)?, row.get(1)?))).into_iter().collect()
    }

    fn object(&self, node: u32, key: &str) -> PathBuf {
        self.data.join("nodes").join(node.to_string()).join("objects/agent").join(key)
    }

    /// What holds at every moment, whoever was killed when. Safe beside running agents.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.broken_placement();
        broken.extend(self.broken_objects());
        broken.extend(self.broken_feedback());
        broken.extend(self.broken_counters());
        broken
    }

    fn broken_placement(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let nowhere = "select agent from reference_replicas r where not exists
            (select 1 from replicas where id = r.replica and state = 'present')";
        // One statement each: it reads one moment of the table.
        for agent in self.rows(nowhere, |row| row.get::<_, u32>(0)) {
            broken.push(format!("agent {agent} references a replica that is not present"));
        }
        // What is made anew stands beside what it replaces until it is whole.
        let twice = "select node from replicas where state <> 'removing'
            group by data_set, node, state in ('changed', 'damaged') having count(*) > 1";
        for node in self.rows(twice, |row| row.get::<_, u32>(0)) {
            broken.push(format!("node {node} holds two replicas"));
        }
        let lost = "select name from data_sets d where not exists
            (select 1 from replicas where data_set = d.name and state = 'present')";
        broken
            .extend(self.rows(lost, |row| row.get::<_, String>(0)).iter().map(|name| format!("{name} has no replica")));
        let unclaimed = "select id from events where action_type <> 'nothing' and not exists
            (select 1 from claims where event = events.id and role = 'source')";
        for event in self.rows(unclaimed, |row| row.get::<_, i64>(0)) {
            broken.push(format!("event {event} has no claim"));
        }
        broken
    }

    fn broken_objects(&self) -> Vec<String> {
        let content = self.content();
        let present = || self.replicas().into_iter().filter(|replica| replica.state == "present");
        let mut broken = Vec::new();
        for replica in present() {
            let file = self.object(replica.node, &replica.object_key);
            let wrong = match fs::read(&file) {
                Err(error) => error.to_string(),
                Ok(bytes) if bytes.len() as u64 != content.bytes => format!("it has {} bytes", bytes.len()),
                Ok(bytes) if hex::encode(Sha256::digest(&bytes)) != content.sha256 => {
                    "its SHA-256 is another".to_owned()
                }
                Ok(_) => continue,
            };
            // Agents that run may have moved it after its row was read, and drained and removed it since.
            if present().any(|now| now == replica) {
                broken.push(format!("replica {} on node {}, {}: {wrong}", replica.id, replica.node, file.display()));
            }
        }
        broken
    }

    fn broken_feedback(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let sums = "select id, feedback_sum, (select coalesce(sum(p), 0) from feedback where event = events.id) as left
            from events where abs(feedback_sum - left) > 1e-9";
        for (event, sum, left) in
            self.rows(sums, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?, row.get::<_, f64>(2)?)))
        {
            broken.push(format!("event {event} sums its feedback up to {sum}, it is {left}"));
        }
        let wrong = "select f.event from feedback f left join events e on e.id = f.event
            where e.id is null or e.agent = f.agent or f.p not between 0 and 1";
        for event in self.rows(wrong, |row| row.get::<_, i64>(0)) {
            broken.push(format!("feedback on event {event} cannot be"));
        }
        broken
    }

    /// Replays the closings as they happened.
    fn broken_counters(&self) -> Vec<String> {
        // All that is read here is of one moment.
        let transaction = self.table.unchecked_transaction().expect("a transaction");
        let mut broken = Vec::new();
        for event in
            self.rows("select event from audit_closings group by event having count(*) > 1", |row| row.get::<_, i64>(0))
        {
            broken.push(format!("event {event} was closed more than once"));
        }
        for event in self.rows("select event from audit_reopenings", |row| row.get::<_, i64>(0)) {
            broken.push(format!("event {event} was opened again"));
        }
        let unseen = "select id from events where state = 'closed' and action_type <> 'nothing'
            and id not in (select event from audit_closings)";
        for event in self.rows(unseen, |row| row.get::<_, i64>(0)) {
            broken.push(format!("event {event} is closed, and nobody closed it"));
        }
        let moves = self.rows("select action, value from audit_counters order by seq", |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?))
        });
        match implied_by(&self.closings(), &moves) {
            Ok(last) if last == self.counters() => {}
            Ok(last) => {
                broken.push(format!("the counters are {:?}; the closed events imply {last:?}", self.counters()))
            }
            Err(why) => broken.push(why),
        }
        drop(transaction);
        broken
    }

    fn closings(&self) -> Vec<Closing> {
        let sql = "select action, outcome, feedback_sum, answered, others from audit_closings order by seq";
        self.rows(sql, |row| {
            let (action, done) = (row.get(0)?, row.get::<_, String>(1)? == "done");
            Ok(Closing { action, done, feedback_sum: row.get(2)?, answered: row.get(3)?, others: row.get(4)? })
        })
    }

    /// What is still under way: empty once nobody acts any more and all leases, drains and windows have run out.
    pub fn unfinished(&self) -> Vec<String> {
        let sql = "select id, outcome, state from events where outcome = 'running' or state = 'open'";
        let events = self.rows(sql, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let mut left: Vec<String> = events
            .into_iter()
            .map(|(event, outcome, state): (i64, String, String)| format!("event {event} is {outcome} and {state}"))
            .collect();
        left.extend(self.orphans());
        left
    }

    /// Rows and objects that nobody needs, once nobody acts any more.
    pub fn orphans(&self) -> Vec<String> {
        let replicas = self.replicas();
        let rows = replicas.iter().filter(|replica| replica.state != "present");
        let mut left: Vec<String> = rows
            .map(|replica| format!("replica {} on node {} is {}", replica.id, replica.node, replica.state))
            .collect();
        let named: BTreeSet<PathBuf> =
            replicas.iter().map(|replica| self.object(replica.node, &replica.object_key)).collect();
        for node in self.rows("select id from nodes", |row| row.get::<_, u32>(0)) {
            let store = self.data.join("nodes").join(node.to_string());
            let objects = files_under(&store.join("objects"));
            left.extend(objects.difference(&named).map(|file| format!("{} is an orphan", file.display())));
            let arriving = files_under(&store.join("incoming"));
            left.extend(arriving.iter().map(|file| format!("{} never arrived", file.display())));
        }
        left
    }

    /// The event of an agent's action that is under way, and the action's kind.
    pub fn running_action(&self, agent: u32) -> Option<(i64, String)> {
        let sql = format!("select id, action_type from events where outcome = 'running' and agent = {agent}");
        self.rows(&sql, |row| Ok((row.get(0)?, row.get(1)?))).pop()
    }

    /// When an agent last gave a sign of life; `None` when it never did or has signed off.
    pub fn heard_of(&self, agent: u32) -> Option<i64> {
        let sql = format!("select heartbeat_at from agents where id = {agent}");
        self.rows(&sql, |row| row.get(0)).pop().flatten()
    }
}

#[derive(Clone, PartialEq, Debug)]
struct Closing {
    action: String,
    done: bool,
    feedback_sum: f64,
    /// How many left feedback.
    answered: u32,
    /// How many others were registered; the mean is over those of them that lived.
    others: u32,
}

impl Closing {
    /// The counters that it may leave: the mean feedback, cut to two decimals, of at least those who answered and at most all
    /// others raises from the threshold on, and lowers below it, never under 0.
    fn after(&self, before: u32) -> BTreeSet<u32> {
        let mean = |others: u32| match others {
            0 => 0.0,
            n => (self.feedback_sum / f64::from(n) * 100.0).trunc() / 100.0,
        };
        let after = |others| if mean(others) >= THRESHOLD { before + 1 } else { before.saturating_sub(1) };
        (self.answered..=self.others.max(self.answered)).map(after).collect()
    }
}

/// Replays each action's closings in order beside its counter's moves, which must follow from them: one for each, or one for
/// several that closed at once. The counters above 0 after them. What was not done moves nothing.
fn implied_by(closings: &[Closing], moves: &[(String, u32)]) -> Result<BTreeMap<String, u32>, String> {
    let mut actions = BTreeMap::<&str, (Vec<&Closing>, Vec<u32>)>::new();
    for closing in closings.iter().filter(|closing| closing.done && closing.action != "NA") {
        actions.entry(&closing.action).or_default().0.push(closing);
    }
    for (action, value) in moves {
        actions.entry(action).or_default().1.push(*value);
    }
    let mut counters = BTreeMap::new();
    for (action, (closings, moves)) in actions {
        let last = moves.last().copied().unwrap_or(0);
        if !follows(&closings, &moves, last) {
            return Err(format!("the counter of {action} moved {moves:?}, which does not follow from {closings:?}"));
        }
        counters.insert(action.to_owned(), last);
    }
    counters.retain(|_, value| *value > 0);
    Ok(counters)
}

/// Whether closings can move a counter like this, and leave it at `last`.
fn follows(closings: &[&Closing], moves: &[u32], last: u32) -> bool {
    // What the counter may be, and how many of its moves that explains.
    let mut states = BTreeSet::from([(0, 0)]);
    for closing in closings {
        let next = |(value, explained): &(u32, usize)| {
            let explained = *explained;
            let moved = closing.after(*value).into_iter();
            moved.flat_map(move |after| {
                let told = moves.get(explained) == Some(&after);
                [Some((after, explained)), told.then_some((after, explained + 1))].into_iter().flatten()
            })
        };
        states = states.iter().flat_map(next).collect();
    }
    states.contains(&(last, moves.len()))
}

/// All files below a directory; none when there is no such directory.
fn files_under(directory: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let Ok(entries) = fs::read_dir(directory) else { return files };
    for entry in entries.map_while(Result::ok) {
        match entry.path() {
            path if path.is_dir() => files.extend(files_under(&path)),
            path => _ = files.insert(path),
        }
    }
    files
}
