//! The share of one taker in a budget that many take from.

/// Returns whether a taker that has `own` units may have one more while `free` units are left: it has
/// fewer than twice as many as are free.
///
/// This is the dynamic threshold of Choudhury and Hahne (IEEE/ACM Transactions on Networking 6(2),
/// 1998) with a factor of 2. A taker that is alone gets two thirds of the budget, and each further one
/// two thirds of what the others leave, so that somebody who has nothing yet finds a free unit unless
/// many hold on to their shares at once. Nothing has to be configured or counted per taker beside what
/// it has.
pub fn has_share(own: usize, free: usize) -> bool {
    own < free.saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_taker_leaves_a_third_of_what_it_found() {
        let mut free = 30;
        let mut shares = Vec::new();
        for _ in 0..5 {
            let mut own = 0;
            while has_share(own, free) {
                own += 1;
                free -= 1;
            }
            shares.push(own);
        }
        assert_eq!(shares, [20, 7, 2, 1, 0]);
        assert!(has_share(0, 1) && !has_share(0, 0));
    }
}
