//! Making a run stand where one of its checkpoints stood.

use anyhow::Result;

use crate::data::split::Part;
use crate::run::checkpoint::{Checkpoint, is_damage};
use crate::run::checkpoints::{self, FoundCheckpoint};
use crate::run::directory::{RunDir, evaluation_of};
use crate::run::session::Session;
use crate::run::{create, logs};

/// Makes the run in `folder` stand where `found` stood: later checkpoints go (damaged ones are kept aside),
/// logs are cut back. Answers with remarks on what was found.
///
/// # Errors
/// A folder that cannot be written. Whatever happens in between, a later attempt finds the newest valid
/// checkpoint and logs at least as long as it recorded.
pub fn rewind(folder: &RunDir, found: &FoundCheckpoint, session: &Session) -> Result<Vec<String>> {
    checkpoints::sweep(folder.folder())?;
    let document = &found.checkpoint.document;
    let own = folder.folder().folder(checkpoints::FOLDER)?;
    let mut remarks = Vec::new();
    for (step, file) in checkpoints::list(folder.path())? {
        if step <= document.progress.step {
            break;
        }
        let name = checkpoints::name_of(step);
        match Checkpoint::load_at(step, &file) {
            Ok(_) => {
                own.remove(name)?;
                remarks.push(format!(
                    "removed {}, which is later than the checkpoint resumed from",
                    file.display()
                ));
            }
            Err(error) if is_damage(&error) => {
                let aside = checkpoints::aside(step);
                own.rename(&name, &own, &aside)?;
                remarks.push(format!(
                    "moved the damaged checkpoint to {}",
                    own.file(aside).display()
                ));
            }
            Err(error) => return Err(error),
        }
    }
    for part in Part::ALL {
        // Of weights that may be trained anew.
        folder.folder().remove(evaluation_of(part))?;
    }
    checkpoints::repoint(folder.folder(), &found.checkpoint)?;
    remarks.extend(logs::cut_back(folder.folder(), &document.logs)?);
    create::write_launch(folder, session)?;
    Ok(remarks)
}
