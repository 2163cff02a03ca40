//! Which tasks of a window must wait for which.
//!
//! Two tasks conflict when one of them declares an account writable that the other mentions; the later one waits for the earlier one.
//! Each task that declares an account writable makes a new *version* of it, and whoever mentions the account later sees that version.
//! A task counts its unfinished predecessors, and itself until its turn to be looked at has come: whoever brings the count to zero runs
//! it. A task without predecessors costs one load.
//!
//! Building it costs a table look-up for each mention of an account. Everything is kept in a few lists, which are used again for the
//! next window.

use crate::{AccountMeta, Address, AddressHasher, Keyed};
use hashbrown::HashTable;
use std::{
    iter,
    ops::Range,
    sync::atomic::{
        AtomicU32,
        Ordering::{AcqRel, Acquire},
    },
};

/// The end of a list, or the version of an account that no task of the window has written.
const NONE: u32 = u32::MAX;

struct Task {
    /// Unfinished predecessors, and 1 until [`Graph::arrive`].
    unmet: AtomicU32,
    /// The list of those that wait for it.
    edges: u32,
    first_mention: u32,
    first_version: u32,
}

/// An account as one task leaves it.
struct Version {
    writer: u32,
    account: u32,
    /// The version that the writer sees.
    before: u32,
}

struct Edge {
    to: u32,
    next: u32,
    /// The version that the later task sees of the earlier one, if it is that.
    version: u32,
}

/// A task that sees the newest version of an account.
struct Reader {
    task: u32,
    next: u32,
}

/// What is known of an account after the tasks so far.
struct Account {
    key: Keyed,
    newest: u32,
    /// The list of tasks that see the newest version.
    readers: u32,
    /// The last task that mentioned it, and which version that task sees.
    task: u32,
    seen: u32,
}

#[derive(Default)]
pub(crate) struct Graph {
    hasher: AddressHasher,
    index: HashTable<u32>,
    accounts: Vec<Account>,
    tasks: Vec<Task>,
    /// The version that each mention of an account sees.
    mentions: Vec<u32>,
    versions: Vec<Version>,
    edges: Vec<Edge>,
    readers: Vec<Reader>,
}

impl Graph {
    pub fn clear(&mut self) {
        self.index.clear();
        self.accounts.clear();
        self.tasks.clear();
        self.mentions.clear();
        self.versions.clear();
        self.edges.clear();
        self.readers.clear();
    }

    /// Adds the next task. One that is deferred waits for ever, and so do those that wait for it.
    pub fn push(&mut self, accounts: &[AccountMeta], deferred: bool) {
        let task = self.tasks.len() as u32;
        let (first_mention, first_version) = (self.mentions.len() as u32, self.versions.len() as u32);
        self.tasks.push(Task { unmet: AtomicU32::new(1 + u32::from(deferred)), edges: NONE, first_mention, first_version });
        for meta in accounts {
            let index = self.account(self.hasher.key(meta.address));
            let Account { newest, task: last, seen, .. } = self.accounts[index];
            let mentioned = last == task;
            let seen = if mentioned { seen } else { newest };
            self.mentions.push(seen);
            if !mentioned {
                (self.accounts[index].task, self.accounts[index].seen) = (task, seen);
                if seen != NONE {
                    self.edge(self.versions[seen as usize].writer, task, seen);
                }
            }
            // Of several mentions, any may be the writable one.
            if meta.writable && newest == seen {
                self.write(index, task);
            } else if !mentioned {
                let account = &mut self.accounts[index];
                self.readers.push(Reader { task, next: account.readers });
                account.readers = self.readers.len() as u32 - 1;
            }
        }
    }

    fn account(&mut self, key: Keyed) -> usize {
        let Graph { index, accounts, .. } = self;
        let entry = index.entry(key.hash(), |index| accounts[*index as usize].key == key, |index| accounts[*index as usize].key.hash());
        let new = accounts.len() as u32;
        let index = *entry.or_insert(new).get();
        if index == new {
            accounts.push(Account { key, newest: NONE, readers: NONE, task: NONE, seen: NONE });
        }
        index as usize
    }

    /// Makes a new version of an account, after everybody who sees the one before.
    fn write(&mut self, index: usize, task: u32) {
        let mut reader = self.accounts[index].readers;
        while reader != NONE {
            let Reader { task: earlier, next } = self.readers[reader as usize];
            if earlier != task {
                self.edge(earlier, task, NONE);
            }
            reader = next;
        }
        let account = &mut self.accounts[index];
        (account.readers, account.newest) = (NONE, self.versions.len() as u32);
        self.versions.push(Version { writer: task, account: index as u32, before: account.seen });
    }

    fn edge(&mut self, from: u32, to: u32, version: u32) {
        let from = &mut self.tasks[from as usize];
        self.edges.push(Edge { to, next: from.edges, version });
        from.edges = self.edges.len() as u32 - 1;
        *self.tasks[to as usize].unmet.get_mut() += 1;
    }

    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    pub fn version_count(&self) -> usize {
        self.versions.len()
    }

    /// Whether any task waits for another.
    pub fn has_conflicts(&self) -> bool {
        !self.edges.is_empty()
    }

    /// Notes that it is a task's turn to be looked at, once. True when it is ready: then the caller runs it.
    pub fn arrive(&self, task: usize) -> bool {
        let unmet = &self.tasks[task].unmet;
        // When all predecessors are done, nobody else looks at the count any more.
        unmet.load(Acquire) == 1 || unmet.fetch_sub(1, AcqRel) == 1
    }

    /// Notes that a task is done, and names those that become ready by it, the last one first: the caller runs them.
    pub fn finish(&self, task: usize, mut ready: impl FnMut(usize)) {
        for edge in self.edges_of(task) {
            if self.tasks[edge.to as usize].unmet.fetch_sub(1, AcqRel) == 1 {
                ready(edge.to as usize);
            }
        }
    }

    fn edges_of(&self, task: usize) -> impl Iterator<Item = &Edge> {
        let edge = |index: u32| self.edges.get(index as usize);
        iter::successors(edge(self.tasks[task].edges), move |before| edge(before.next))
    }

    /// The version of an account that a task sees, if an earlier task makes one.
    pub fn seen(&self, task: usize, mention: usize) -> Option<usize> {
        some(self.mentions[self.tasks[task].first_mention as usize + mention])
    }

    /// The versions that a task makes.
    pub fn versions_of(&self, task: usize) -> Range<usize> {
        let end = self.tasks.get(task + 1).map_or(self.versions.len(), |next| next.first_version as usize);
        self.tasks[task].first_version as usize..end
    }

    /// Which account it is a version of.
    pub fn address(&self, version: usize) -> &Address {
        self.accounts[self.versions[version].account as usize].key.address()
    }

    /// The version that its writer sees, if an earlier task makes one.
    pub fn before(&self, version: usize) -> Option<usize> {
        some(self.versions[version].before)
    }

    /// The tasks that see a version.
    pub fn readers(&self, version: usize) -> impl Iterator<Item = usize> {
        let edges = self.edges_of(self.versions[version].writer as usize);
        edges.filter(move |edge| edge.version as usize == version).map(|edge| edge.to as usize)
    }
}

fn some(version: u32) -> Option<usize> {
    (version != NONE).then_some(version as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Accounts by number, and whether each is declared writable; an account may be mentioned more than once.
    type Mentions = Vec<(u8, bool)>;

    fn graph(tasks: &[Mentions], deferred: &[usize]) -> Graph {
        let mut graph = Graph::default();
        // What an earlier window left must not matter.
        for _ in 0..2 {
            graph.clear();
            for (task, mentions) in tasks.iter().enumerate() {
                let meta = |&(n, writable): &(u8, bool)| AccountMeta { address: Address([n; 32]), signer: false, writable };
                graph.push(&mentions.iter().map(meta).collect::<Vec<_>>(), deferred.contains(&task));
            }
        }
        graph
    }

    fn writes(task: &Mentions, account: u8) -> bool {
        task.contains(&(account, true))
    }

    /// Whether one must wait for the other: the definition.
    fn conflict(earlier: &Mentions, later: &Mentions) -> bool {
        let shared = earlier.iter().filter(|(account, _)| later.iter().any(|(other, _)| other == account));
        shared.into_iter().any(|(account, _)| writes(earlier, *account) || writes(later, *account))
    }

    /// For each task all those that must be done before it, the indirect ones included.
    fn naive_ancestors(tasks: &[Mentions]) -> Vec<BTreeSet<usize>> {
        let mut ancestors: Vec<BTreeSet<usize>> = Vec::new();
        for later in tasks {
            let direct = (0..ancestors.len()).filter(|earlier| conflict(&tasks[*earlier], later));
            ancestors.push(direct.flat_map(|earlier| ancestors[earlier].iter().copied().chain([earlier])).collect());
        }
        ancestors
    }

    fn ancestors(graph: &Graph) -> Vec<BTreeSet<usize>> {
        let mut ancestors = vec![BTreeSet::new(); graph.len()];
        for task in 0..graph.len() {
            for edge in graph.edges_of(task) {
                let mut mine = ancestors[task].clone();
                mine.insert(task);
                ancestors[edge.to as usize].extend(mine);
            }
        }
        ancestors
    }

    fn tasks() -> impl Strategy<Value = Vec<Mentions>> {
        let mention = (0..6u8, prop_oneof![2 => Just(false), 1 => Just(true)]);
        proptest::collection::vec(proptest::collection::vec(mention, 0..4), 0..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn tasks_wait_for_what_they_conflict_with_and_for_nothing_else(tasks in tasks()) {
            let graph = graph(&tasks, &[]);
            prop_assert_eq!(ancestors(&graph), naive_ancestors(&tasks));
            let alone = naive_ancestors(&tasks).iter().all(BTreeSet::is_empty);
            prop_assert_eq!(graph.has_conflicts(), !alone);
        }

        #[test]
        fn each_mention_sees_what_the_last_writer_left(tasks in tasks()) {
            let graph = graph(&tasks, &[]);
            let mut readers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
            for (index, task) in tasks.iter().enumerate() {
                for (mention, (account, _)) in task.iter().enumerate() {
                    let seen = graph.seen(index, mention);
                    let writer = (0..index).rev().find(|earlier| writes(&tasks[*earlier], *account));
                    prop_assert_eq!(seen.map(|version| graph.versions[version].writer as usize), writer);
                    if let (Some(version), Some(writer)) = (seen, writer) {
                        prop_assert!(graph.versions_of(writer).contains(&version));
                        prop_assert_eq!(graph.address(version), &Address([*account; 32]));
                        let mention = tasks[writer].iter().position(|(other, _)| other == account).unwrap();
                        prop_assert_eq!(graph.before(version), graph.seen(writer, mention));
                        readers.entry(version).or_default().insert(index);
                    }
                }
                let written: BTreeSet<_> = task.iter().filter(|(_, writable)| *writable).map(|(account, _)| *account).collect();
                prop_assert_eq!(graph.versions_of(index).len(), written.len());
            }
            for version in 0..graph.version_count() {
                prop_assert_eq!(graph.readers(version).collect::<BTreeSet<_>>(), readers.remove(&version).unwrap_or_default());
            }
        }

        #[test]
        fn each_task_becomes_ready_once_when_its_turn_has_come(tasks in tasks(), deferred in proptest::collection::vec(0..24usize, 0..3), dice in proptest::collection::vec(any::<usize>(), 100)) {
            let graph = graph(&tasks, &deferred);
            let ancestors = naive_ancestors(&tasks);
            let (mut arrived, mut ready, mut done) = (0, Vec::new(), Vec::new());
            let mut dice = dice.iter().cycle();
            while arrived < tasks.len() || !ready.is_empty() {
                let roll = dice.next().unwrap();
                if arrived < tasks.len() && (ready.is_empty() || roll % 2 == 0) {
                    ready.extend(graph.arrive(arrived).then_some(arrived));
                    arrived += 1;
                } else {
                    let task: usize = ready.swap_remove(roll % ready.len());
                    prop_assert!(ancestors[task].iter().all(|earlier| done.contains(earlier)) && !done.contains(&task));
                    done.push(task);
                    graph.finish(task, |task| ready.push(task));
                }
            }
            done.sort_unstable();
            let runs = |task: &usize| !deferred.contains(task) && ancestors[*task].iter().all(|earlier| !deferred.contains(earlier));
            prop_assert_eq!(done, (0..tasks.len()).filter(runs).collect::<Vec<_>>());
        }
    }
}
