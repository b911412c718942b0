//! The data file of the gazetteer, unpacked. Its form is said in `make.py` beside this file.

use std::io::Read;

use flate2::read::ZlibDecoder;

use crate::protocol::Coordinates;

/// In a degree: the source has five decimals, about a meter.
const UNITS: f64 = 100_000.0;

const DATA: &[u8] = include_bytes!("places.zlib");

/// What is known of each place, a column a kind; a place is an index into them.
#[derive(Debug)]
pub(super) struct Columns {
    names: Texts,
    vicinities: Texts,
    vicinity: Box<[u16]>,
    ids: Box<[u32]>,
    /// Latitude and longitude in [`UNITS`], side by side since they are read together.
    locations: Box<[(i32, i32)]>,
}

impl Columns {
    /// Unpacks the embedded data.
    ///
    /// # Panics
    ///
    /// If the file does not have the form that `make.py` gives it.
    pub(super) fn unpack() -> Self {
        let mut raw = Vec::new();
        ZlibDecoder::new(DATA).read_to_end(&mut raw).expect("make.py writes a zlib stream");
        let mut rest = raw.as_slice();
        let mut section = || {
            let (length, after) = rest.split_first_chunk().expect("make.py writes six sections");
            let (section, after) = after.split_at(u32::from_le_bytes(*length) as usize);
            rest = after;
            section
        };
        let (vicinities, names) = (Texts::split(section()), Texts::split(section()));
        let vicinity = numbers::<2>(section(), |bytes| u16::from_be_bytes(bytes).into());
        let ids = numbers::<4>(section(), u32::from_be_bytes);
        let latitudes = numbers::<4>(section(), u32::from_be_bytes);
        let longitudes = numbers::<4>(section(), u32::from_be_bytes);
        Self {
            names,
            vicinities,
            vicinity: vicinity.map(|index| index as u16).collect(),
            ids: ids.collect(),
            locations: latitudes
                .zip(longitudes)
                .map(|(latitude, longitude)| (latitude as i32, longitude as i32))
                .collect(),
        }
    }

    /// Latitude and longitude of every place, in [`UNITS`].
    pub(super) fn locations(&self) -> &[(i32, i32)] {
        &self.locations
    }

    /// Where every place is, in degrees.
    pub(super) fn points(&self) -> impl Iterator<Item = Coordinates> {
        self.locations.iter().map(|&(latitude, longitude)| Coordinates {
            latitude: f64::from(latitude) / UNITS,
            longitude: f64::from(longitude) / UNITS,
        })
    }

    /// Contents of a JSON string.
    pub(super) fn name(&self, place: usize) -> &str {
        self.names.get(place)
    }

    /// Contents of a JSON string: `California, United States`.
    pub(super) fn vicinity(&self, place: usize) -> &str {
        self.vicinities.get(usize::from(self.vicinity[place]))
    }

    /// GeoNames' number.
    pub(super) fn id(&self, place: usize) -> u32 {
        self.ids[place]
    }
}

/// Many texts in one: a `String` each would cost more than the texts.
#[derive(Debug)]
struct Texts {
    text: Box<str>,
    /// Where each starts; at last where the next one would.
    starts: Box<[u32]>,
}

impl Texts {
    fn split(lines: &[u8]) -> Self {
        let text = str::from_utf8(lines).expect("make.py writes UTF-8");
        let after_lf = memchr::memchr_iter(b'\n', lines).map(|lf| lf as u32 + 1);
        let end = text.len() as u32 + 1;
        Self { text: text.into(), starts: [0].into_iter().chain(after_lf).chain([end]).collect() }
    }

    fn get(&self, index: usize) -> &str {
        &self.text[self.starts[index] as usize..self.starts[index + 1] as usize - 1]
    }
}

/// The numbers of a section of `N` byte planes. Differences of 16 bits are not wider once summed:
/// what wraps is cut by the caller.
fn numbers<const N: usize>(
    section: &[u8],
    from_bytes: fn([u8; N]) -> u32,
) -> impl Iterator<Item = u32> {
    let length = section.len() / N;
    let mut last = 0_u32;
    (0..length).map(move |index| {
        let zigzag = from_bytes(std::array::from_fn(|plane| section[plane * length + index]));
        let difference = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
        last = last.wrapping_add(difference);
        last
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_170_391_places_on_earth_with_names_and_numbers() {
        let columns = Columns::unpack();
        assert_eq!(columns.locations().len(), 170_391);
        let mut ids = columns.ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), columns.locations().len());
        for (place, (latitude, longitude)) in columns.locations().iter().enumerate() {
            assert!(latitude.abs() <= 9_000_000 && longitude.abs() <= 18_000_000);
            assert!(columns.id(place) > 0);
            for text in [columns.name(place), columns.vicinity(place)] {
                assert!(!text.is_empty());
                assert!(serde_json::from_str::<String>(&format!("\"{text}\"")).is_ok(), "{text}");
            }
        }
        assert_eq!(columns.names.starts.len(), columns.locations().len() + 1);
    }
}
