//! Sets of documents of one segment.

/// A set of document numbers below a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    bound: u32,
}

impl Bits {
    pub(crate) fn none(bound: u32) -> Self {
        Self { words: vec![0; bound.div_ceil(64) as usize], bound }
    }

    pub(crate) fn all(bound: u32) -> Self {
        Self::none(bound).inverted()
    }

    pub(crate) fn insert(&mut self, doc: u32) {
        self.words[(doc / 64) as usize] |= 1 << (doc % 64);
    }

    pub(crate) fn contains(&self, doc: u32) -> bool {
        self.words[(doc / 64) as usize] >> (doc % 64) & 1 == 1
    }

    pub(crate) fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(crate) fn inverted(mut self) -> Self {
        self.words.iter_mut().for_each(|word| *word = !*word);
        if let Some(last) = self.words.last_mut()
            && !self.bound.is_multiple_of(64)
        {
            *last &= (1 << (self.bound % 64)) - 1;
        }
        self
    }

    pub(crate) fn intersect(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    pub(crate) fn unite(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    pub(crate) fn remove(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// The members, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.words).flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let lowest = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(index * 64 + lowest)
            })
        })
    }

    /// The members, descending.
    pub(crate) fn iter_down(&self) -> impl Iterator<Item = u32> {
        (0u32..self.words.len() as u32).rev().flat_map(|index| {
            let mut rest = self.words[index as usize];
            std::iter::from_fn(move || {
                let highest = (rest != 0).then(|| 63 - rest.leading_zeros())?;
                rest &= !(1 << highest);
                Some(index * 64 + highest)
            })
        })
    }
}

/// What is known of the documents that match: those that surely do, and those that may.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    /// These match.
    pub(crate) sure: Bits,
    /// All that match are among these, and the sure ones are; `None` when these are the sure ones.
    pub(crate) possible: Option<Bits>,
}

impl Selection {
    pub(crate) fn exact(sure: Bits) -> Self {
        Self { sure, possible: None }
    }

    pub(crate) fn all(bound: u32) -> Self {
        Self::exact(Bits::all(bound))
    }

    /// None is sure, these are possible.
    pub(crate) fn only_possible(possible: Bits) -> Self {
        Self { sure: Bits::none(possible.bound), possible: Some(possible) }
    }

    pub(crate) fn possible(&self) -> &Bits {
        self.possible.as_ref().unwrap_or(&self.sure)
    }

    /// Those whose source must be asked.
    pub(crate) fn doubtful(&self) -> Bits {
        match &self.possible {
            None => Bits::none(self.sure.bound),
            Some(possible) => {
                let mut doubtful = possible.clone();
                doubtful.remove(&self.sure);
                doubtful
            }
        }
    }

    pub(crate) fn inverted(self) -> Self {
        match self.possible {
            None => Self::exact(self.sure.inverted()),
            Some(possible) => Self { sure: possible.inverted(), possible: Some(self.sure.inverted()) },
        }
    }

    pub(crate) fn intersect(&mut self, other: &Self) {
        if self.possible.is_some() || other.possible.is_some() {
            let possible = self.possible.get_or_insert_with(|| self.sure.clone());
            possible.intersect(other.possible());
        }
        self.sure.intersect(&other.sure);
    }

    pub(crate) fn unite(&mut self, other: &Self) {
        if self.possible.is_some() || other.possible.is_some() {
            let possible = self.possible.get_or_insert_with(|| self.sure.clone());
            possible.unite(other.possible());
        }
        self.sure.unite(&other.sure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn bits_are_sets(bound in 1u32..200, left: u128, right: u128) {
            let set = |from: u128| {
                let members: Vec<u32> = (0..bound).filter(|doc| from.rotate_left(*doc) & 1 == 1).collect();
                let mut bits = Bits::none(bound);
                members.iter().for_each(|doc| bits.insert(*doc));
                (members, bits)
            };
            let ((left, left_bits), (right, right_bits)) = (set(left), set(right));
            proptest::prop_assert_eq!(left_bits.iter().collect::<Vec<_>>(), left.clone());
            proptest::prop_assert_eq!(left_bits.iter_down().collect::<Vec<_>>(), left.iter().rev().copied().collect::<Vec<_>>());
            proptest::prop_assert_eq!(left_bits.len(), left.len() as u64);
            let check = |bits: Bits, keep: &dyn Fn(u32) -> bool| {
                let expected: Vec<u32> = (0..bound).filter(|doc| keep(*doc)).collect();
                proptest::prop_assert_eq!(bits.iter().collect::<Vec<_>>(), expected);
                Ok(())
            };
            let (in_left, in_right) = (|doc| left.contains(&doc), |doc| right.contains(&doc));
            check(left_bits.clone().inverted(), &|doc| !in_left(doc))?;
            let mut both = left_bits.clone();
            both.intersect(&right_bits);
            check(both, &|doc| in_left(doc) && in_right(doc))?;
            let mut either = left_bits.clone();
            either.unite(&right_bits);
            check(either, &|doc| in_left(doc) || in_right(doc))?;
            let mut less = left_bits;
            less.remove(&right_bits);
            check(less, &|doc| in_left(doc) && !in_right(doc))?;
        }
    }
}
