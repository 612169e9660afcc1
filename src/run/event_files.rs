//! TensorBoard's event files as far as resuming needs to know them: their folder, their names, and where an event ends.
//! `report/tensorboard` writes them.

/// Where they lie in a run directory.
pub const FOLDER: &str = "tensorboard";

/// The name of a log of events that begins now, `seconds` after 1970. TensorBoard reads the files of a folder by name.
pub fn log_name(seconds: u64) -> String {
    format!("events.out.tfevents.{seconds}.signet")
}

/// Whether a file of that name is such a log.
pub fn is_log(name: &str) -> bool {
    name.starts_with("events.out.tfevents.") && name.ends_with(".signet")
}

/// Bytes of the whole events at the start of `file`.
pub fn whole_events(file: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(length) = file[whole..].first_chunk() {
        const AROUND: usize = 16; // the length, its checksum, that of the event
        let frame = (u64::from_le_bytes(*length) as usize).saturating_add(AROUND);
        if frame > file.len() - whole {
            break;
        }
        whole += frame;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_event_at_the_end_is_not_counted() {
        let frame = |length: usize| {
            let body = vec![7; length + 8];
            [&(length as u64).to_le_bytes()[..], &body].concat()
        };
        let file = [frame(24), frame(0), frame(5)].concat();
        let ends = [0, 40, 56, 77];
        for length in 0..=file.len() {
            let whole = ends.iter().rfind(|end| **end <= length).unwrap();
            assert_eq!(whole_events(&file[..length]), *whole, "of {length} bytes");
        }
        // A length that no file has.
        assert_eq!(whole_events(&[255; 64]), 0);
    }
}
