"""Models on a volume, each fetched once for all engines that load it.

    STORE/models/ORG--NAME/REVISION/             a plain folder, which an engine loads by its path
    STORE/models/ORG--NAME/REVISION/.tandem.json the manifest, written last: without it nobody may load the folder
    STORE/models/ORG--NAME/REVISION/.tandem-unfinished/  what is not verified yet; gone once the manifest is there
    STORE/models/ORG--NAME/REVISION.lock.N       who works on the folder, N counts takeovers

REVISION is as `place.py` writes it. A file gets its name only when its digest is the hub's, so that what is there
is right, and what is right is fetched once however often the program is killed. The manifest's time of change is when
the model was last asked for.
"""
