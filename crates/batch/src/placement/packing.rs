//! Which worker a task is given: an index over what is free, which finds one in logarithmic time.

use super::Size;
use std::collections::BTreeSet;

/// Finds a worker for a size, among those that `admits` says yes to.
pub(super) trait Packing {
    fn find(&self, size: Size, admits: &dyn Fn(usize) -> bool) -> Option<usize>;

    /// What is free of this worker has changed.
    fn replace(&mut self, worker: usize, before: Size, now: Size);
}

/// The worker that has the fewest cores left over; memory decides between equals, then the index.
pub(super) struct BestFit(BTreeSet<(Size, usize)>);

impl BestFit {
    pub fn new(free: impl Iterator<Item = Size>) -> Self {
        Self(free.enumerate().map(|(worker, size)| (size, worker)).collect())
    }
}

impl Packing for BestFit {
    fn find(&self, size: Size, admits: &dyn Fn(usize) -> bool) -> Option<usize> {
        let mut from = (size, 0);
        // With each number of cores it skips at once those that have too little memory.
        loop {
            let &(free, worker) = self.0.range(from..).next()?;
            from = match (size.fits_into(free), admits(worker)) {
                (true, true) => return Some(worker),
                (true, false) => (free, worker + 1),
                (false, _) => (Size { cores: free.cores, memory: size.memory }, 0),
            };
        }
    }

    fn replace(&mut self, worker: usize, before: Size, now: Size) {
        self.0.remove(&(before, worker));
        self.0.insert((now, worker));
    }
}

/// The worker of the lowest index. A binary tree of the most cores, and the most memory, that any worker below has.
pub(super) struct FirstFit {
    /// The root lies at 1, the children of `n` at `2 n` and `2 n + 1`; leaves from `leaves` on.
    most: Vec<Size>,
    leaves: usize,
    workers: usize,
}

impl FirstFit {
    pub fn new(free: impl ExactSizeIterator<Item = Size>) -> Self {
        let (workers, leaves) = (free.len(), free.len().next_power_of_two());
        let mut most = vec![Size::default(); 2 * leaves];
        for (worker, size) in free.enumerate() {
            most[leaves + worker] = size;
        }
        let mut tree = Self { most, leaves, workers };
        (1..leaves).rev().for_each(|node| tree.sum_up(node));
        tree
    }

    fn sum_up(&mut self, node: usize) {
        let (left, right) = (self.most[2 * node], self.most[2 * node + 1]);
        self.most[node] = Size { cores: left.cores.max(right.cores), memory: left.memory.max(right.memory) };
    }

    fn find_below(&self, node: usize, size: Size, admits: &dyn Fn(usize) -> bool) -> Option<usize> {
        if !size.fits_into(self.most[node]) {
            return None;
        }
        match node.checked_sub(self.leaves) {
            Some(worker) => (worker < self.workers && admits(worker)).then_some(worker),
            None => {
                let below = |child| self.find_below(child, size, admits);
                below(2 * node).or_else(|| below(2 * node + 1))
            }
        }
    }
}

impl Packing for FirstFit {
    fn find(&self, size: Size, admits: &dyn Fn(usize) -> bool) -> Option<usize> {
        self.find_below(1, size, admits)
    }

    fn replace(&mut self, worker: usize, _before: Size, now: Size) {
        let mut node = self.leaves + worker;
        self.most[node] = now;
        while node > 1 {
            node /= 2;
            self.sum_up(node);
        }
    }
}
