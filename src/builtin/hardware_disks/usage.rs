//! How full a file system is, counted as `df` does.

use rustix::fs::StatVfs;

/// Bytes and inodes of one file system.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Bytes in all.
    pub size: u64,
    /// Bytes in use.
    pub used: u64,
    /// Bytes that a user other than root can still have.
    pub free: u64,
    /// Inodes in use.
    pub inodes_used: u64,
    /// Inodes left.
    pub inodes_free: u64,
}

impl Usage {
    /// What the kernel says, `None` for a file system without blocks.
    pub fn new(stat: &StatVfs) -> Option<Usage> {
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize.max(1));
        (stat.f_blocks > 0).then(|| Usage {
            size: bytes(stat.f_blocks),
            used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
            free: bytes(stat.f_bavail),
            inodes_used: stat.f_files.saturating_sub(stat.f_ffree),
            inodes_free: stat.f_ffree.min(stat.f_files),
        })
    }

    /// Percent of the space in use; what is reserved for root does not count as free.
    pub fn percentage(&self) -> u64 {
        percentage(self.used, self.free).unwrap_or(0)
    }

    /// Percent of the inodes in use; `None` where they are made as needed.
    pub fn inode_percentage(&self) -> Option<u64> {
        percentage(self.inodes_used, self.inodes_free)
    }
}

/// Rounded up; `None` of nothing.
fn percentage(used: u64, free: u64) -> Option<u64> {
    let all = u128::from(used) + u128::from(free);
    (all > 0).then(|| (u128::from(used) * 100).div_ceil(all) as u64)
}

/// Bytes as `df -h` writes them: powers of 1024, one decimal below ten, rounded up.
pub fn human(bytes: u64) -> String {
    let mut unit = 1u128;
    let mut letters = ["", "K", "M", "G", "T", "P", "E"].into_iter();
    let mut letter = letters.next().unwrap_or_default();
    let bytes = u128::from(bytes);
    while bytes.div_ceil(unit) >= 1024 {
        unit *= 1024;
        letter = letters.next().unwrap_or("Z");
    }
    let tenths = (bytes * 10).div_ceil(unit);
    match letter {
        "" => bytes.to_string(),
        _ if tenths < 100 => format!("{}.{}{letter}", tenths / 10, tenths % 10),
        _ => format!("{}{letter}", bytes.div_ceil(unit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_rounded_up_and_leave_out_the_reserve() {
        let usage = Usage { size: 1000, used: 500, free: 450, ..Usage::default() };
        assert_eq!(usage.percentage(), 53);
        assert_eq!(percentage(1, u64::MAX), Some(1));
        assert_eq!(percentage(u64::MAX, 0), Some(100));
        assert_eq!(percentage(0, 5), Some(0));
        assert_eq!(usage.inode_percentage(), None);
    }

    #[test]
    fn sizes_read_like_those_of_df() {
        assert_eq!(human(0), "0");
        assert_eq!(human(1023), "1023");
        assert_eq!(human(1024), "1.0K");
        assert_eq!(human(1025), "1.1K");
        assert_eq!(human(10 * 1024 + 1), "11K");
        assert_eq!(human(1024 * 1024 - 1), "1.0M");
        assert_eq!(human(21_003_583_488), "20G");
        assert_eq!(human(u64::MAX), "16E");
    }
}
