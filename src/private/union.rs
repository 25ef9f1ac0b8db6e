//! Disjoint sets of small numbers.

/// Which numbers belong together.
pub struct Union {
    parent: Vec<usize>,
}

impl Union {
    /// `len` sets of one number each.
    pub fn new(len: usize) -> Self {
        Self {
            parent: (0..len).collect(),
        }
    }

    /// The number that stands for the set of `member`: its least.
    pub fn root(&self, member: usize) -> usize {
        let mut root = member;
        while self.parent[root] != root {
            root = self.parent[root];
        }
        root
    }

    /// Joins the sets of two numbers.
    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }
}
