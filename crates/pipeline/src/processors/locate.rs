//! Where a call came from, by the address of its client.

use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use maxminddb::Reader;
use serde::Deserialize;
use weir_model::place::{CITY, CITY_ID, COUNTRY, LATITUDE, LONGITUDE, TIME_ZONE};
use weir_model::{Attributes, Exchange, Value};

use super::{Processor, Verdict};

/// A database of places by address (MaxMind's format), whole in memory.
pub struct Places {
    file: PathBuf,
    /// Of the file that was read.
    read: Mutex<FileState>,
    reader: ArcSwap<Reader<Vec<u8>>>,
}

type FileState = (Option<SystemTime>, u64);

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlacesError {
    /// The file cannot be read.
    #[error("{}: {cause}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The file is no such database.
    #[error("{}: not a MaxMind database: {cause}", .file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: Box<maxminddb::MaxMindDbError>,
    },
}

/// What is read of a place; all else that a database has is passed over.
#[derive(Debug, Default, Deserialize)]
struct Place<'a> {
    #[serde(borrow, default)]
    country: Country<'a>,
    #[serde(borrow, default)]
    city: City<'a>,
    #[serde(borrow, default)]
    location: Location<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
struct City<'a> {
    geoname_id: Option<u32>,
    #[serde(borrow, default)]
    names: Names<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Names<'a> {
    en: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
struct Location<'a> {
    #[serde(borrow)]
    time_zone: Option<&'a str>,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Places").field(&self.file).finish()
    }
}

impl Places {
    /// Reads a database. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read or is none.
    pub fn open(file: &Path) -> Result<Self, PlacesError> {
        let state = state_of(file)?;
        let reader = ArcSwap::from_pointee(read(file)?);
        Ok(Self { file: file.to_owned(), read: Mutex::new(state), reader })
    }

    /// Reads the file again if it has changed, and says whether it had. Blocks. What was read before stays in use when
    /// the new file is of no use.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn refresh(&self) -> Result<bool, PlacesError> {
        let state = state_of(&self.file)?;
        let mut last = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == state {
            return Ok(false);
        }
        self.reader.store(read(&self.file)?.into());
        *last = state;
        Ok(true)
    }

    /// Sets what is known of the place of an address. What an exchange says of its place already stays.
    fn tell(&self, address: IpAddr, attributes: &mut Attributes) {
        let reader = self.reader.load();
        let found = reader.lookup(address).and_then(|found| found.decode::<Place<'_>>());
        // A damaged entry is one place that nobody knows.
        let Ok(Some(Place { country, city, location })) = found else { return };
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(Value::from);
        let facts = [
            (COUNTRY, text(country.iso_code)),
            (CITY, text(city.names.en)),
            (CITY_ID, city.geoname_id.map(|id| Value::Integer(id.into()))),
            (TIME_ZONE, text(location.time_zone)),
            (LATITUDE, location.latitude.map(Value::Float)),
            (LONGITUDE, location.longitude.map(Value::Float)),
        ];
        for (name, value) in facts {
            if let Some(value) = value {
                attributes.set(name, value);
            }
        }
    }
}

fn state_of(file: &Path) -> Result<FileState, PlacesError> {
    let failed = |cause| PlacesError::Io { file: file.to_owned(), cause };
    let metadata = fs::metadata(file).map_err(failed)?;
    Ok((metadata.modified().ok(), metadata.len()))
}

fn read(file: &Path) -> Result<Reader<Vec<u8>>, PlacesError> {
    let bytes = fs::read(file).map_err(|cause| PlacesError::Io { file: file.to_owned(), cause })?;
    Reader::from_source(bytes)
        .map_err(|cause| PlacesError::Format { file: file.to_owned(), cause: Box::new(cause) })
}

/// The locating step.
pub struct Locate {
    places: Arc<Places>,
}

impl Locate {
    /// A step that looks addresses up in this database.
    pub fn new(places: Arc<Places>) -> Self {
        Self { places }
    }
}

impl Processor for Locate {
    fn name(&self) -> &'static str {
        "locate"
    }

    fn process(&self, exchange: &mut Exchange) -> Verdict {
        let known = [COUNTRY, LATITUDE].iter().any(|name| exchange.attributes.get(name).is_some());
        if let Some(address) = exchange.client.address.filter(|_| !known) {
            self.places.tell(address, &mut exchange.attributes);
        }
        Verdict::Keep
    }
}

#[cfg(test)]
mod tests {
    use weir_model::{ExchangeId, Peer};

    use super::*;

    const DATABASE: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/maxmind/GeoIP2-City-Test.mmdb");

    fn located(places: &Arc<Places>, address: &str, before: &[(&str, Value)]) -> Vec<(String, Value)> {
        let start = weir_kit::Timestamp::from_seconds(1);
        let mut exchange = Exchange::new(ExchangeId::new(start), start, Default::default());
        exchange.client = Peer::new(address.parse().unwrap(), None);
        for (name, value) in before {
            exchange.attributes.set((*name).to_owned(), value.clone());
        }
        assert_eq!(Locate::new(Arc::clone(places)).process(&mut exchange), Verdict::Keep);
        exchange.attributes.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    #[test]
    fn addresses_have_places() {
        let places = Arc::new(Places::open(Path::new(DATABASE)).unwrap());
        let city = [
            (COUNTRY, "SE".into()),
            (CITY, "Linköping".into()),
            (CITY_ID, Value::Integer(2_694_762)),
            (TIME_ZONE, "Europe/Stockholm".into()),
            (LATITUDE, Value::Float(58.4167)),
            (LONGITUDE, Value::Float(15.6167)),
        ];
        let sweden = city.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(located(&places, "89.160.20.128", &[]), sweden);
        assert_eq!(located(&places, "2001:218::1", &[])[0], (COUNTRY.to_owned(), "JP".into()));
        assert_eq!(located(&places, "127.0.0.1", &[]), []);
        let told = [(COUNTRY, Value::from("XX"))];
        assert_eq!(located(&places, "89.160.20.128", &told), [(COUNTRY.to_owned(), "XX".into())]);
    }

    #[test]
    fn a_new_file_is_read_and_a_bad_one_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("places.mmdb");
        assert!(matches!(Places::open(&file), Err(PlacesError::Io { .. })));
        fs::write(&file, b"not a database").unwrap();
        assert!(matches!(Places::open(&file), Err(PlacesError::Format { .. })));
        fs::copy(DATABASE, &file).unwrap();
        let places = Arc::new(Places::open(&file).unwrap());
        assert!(!places.refresh().unwrap());
        fs::write(&file, b"damaged").unwrap();
        assert!(places.refresh().is_err());
        assert_eq!(located(&places, "89.160.20.128", &[]).len(), 6, "as before");
        let mut whole = fs::read(DATABASE).unwrap();
        fs::write(&file, &whole).unwrap();
        assert!(!places.refresh().unwrap() || located(&places, "89.160.20.128", &[]).len() == 6);
        // Damage anywhere in it is no more than places that nobody knows.
        for at in (0..whole.len().saturating_sub(200)).step_by(97) {
            whole[at] ^= 0xFF;
            fs::write(&file, &whole).unwrap();
            if let Ok(damaged) = Places::open(&file) {
                located(&Arc::new(damaged), "89.160.20.128", &[]);
            }
            whole[at] ^= 0xFF;
        }
    }
}
