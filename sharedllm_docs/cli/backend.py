"""The door to the engine: everything heavy is imported here, inside the functions, when a command needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharedllm_docs.cli.options import DEFAULT_MODEL, LoadingOptions, ProfileOptions, given
from sharedllm_docs.cli.staying import Soon, Stay, may_be_there, stayed
from sharedllm_docs.cli.tenancy import Place
from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError, IndexNotFoundError, StoreError

if TYPE_CHECKING:
    from sharedllm_docs.cli.screen import Screen
    from sharedllm_docs.evaluation.calibrate import Calibration
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.model.wheels import Listener
    from sharedllm_docs.model.zoo import EmbeddedModel
    from sharedllm_docs.store import IndexStore

Report = Callable[[str], None]


def index_class() -> type[Index]:
    """The engine's ``Index``."""
    from sharedllm_docs.index.index import Index

    return Index


def open_index(
    place: Place,
    report: Report,
    model: LoadingOptions | None = None,
    profile: ProfileOptions | None = None,
) -> Index:
    """An index that exists; the model is loaded when something needs it.

    Raises:
        IndexNotFoundError: there is none.
    """
    return index_class().open(place.index, report=report, **_opening(place, model, profile))


def open_or_create(
    place: Place, report: Report, model: LoadingOptions, profile: ProfileOptions, *, max_bytes: int | None = None
) -> Index:
    """An index to add documents to."""
    options = _opening(place, model, profile)
    return index_class().open_or_create(place.index, report=report, max_bytes=max_bytes, **options)


def index_for_questions(
    place: Place,
    screen: Screen,
    model: LoadingOptions,
    profile: ProfileOptions,
    stay: Stay | None,
    soon: Soon | None = None,
) -> Index:
    """An index to ask, in a process that stays where there is one or one is to be started.

    Args:
        place: where it is.
        screen: the command's output.
        model: options of the model.
        profile: options of the profile.
        stay: what to do about a process that stays.
        soon: the file that will be added next; the index is made where there is none.

    Raises:
        IndexNotFoundError: there is none.
    """
    options = _opening(place, model, profile)

    def alone() -> Index:
        if soon is None:
            return index_class().open(place.index, report=screen.report, **options)
        with _read_meanwhile(place, soon):
            return index_class().open_or_create(place.index, report=screen.report, **options)

    if place.is_private:
        return alone()
    return stayed(place.index, options, alone, screen.report, screen.note, stay, soon)


@contextmanager
def _read_meanwhile(place: Place, soon: Soon) -> Iterator[None]:
    """Within the block a new index is made, which loads the model; a file to be added is read beside it."""
    if may_be_there(place.url):
        yield
        return
    from sharedllm_docs.documents.readers.ahead import begin, forget

    begun = begin(soon.file, soon.options)
    try:
        yield
    except BaseException:
        if begun is not None:
            forget(begun)
        raise


@contextmanager
def index_for_estimates(
    place: Place, report: Report, model: LoadingOptions, profile: ProfileOptions
) -> Iterator[Index]:
    """The index; if there is none, a temporary one, because an estimate leaves nothing behind."""
    try:
        index = open_index(place, report, model, profile)
    except IndexNotFoundError:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="sharedllm-docs-") as folder:
            yield open_or_create(Place(str(Path(folder) / "index")), report, model, profile)
    else:
        yield index


def open_store(place: Place) -> IndexStore:
    """The store of a tenant's index, without its model.

    Raises:
        IndexNotFoundError: there is no such tenant.
        TenantError: the salt is another.
    """
    from sharedllm_docs.store import IndexStore

    return IndexStore.open(place.index, **place.keywords)


def refuse_present(url: str, tenant: str) -> None:
    """Raise StoreError where a tenant has an index already, or what is left of one."""
    from sharedllm_docs.store import IndexStore

    if IndexStore.exists(url, tenant=tenant):
        raise StoreError(
            f"There is a tenant {tenant!r} at {url} already.", remedy="Choose another name, or delete that one."
        )


def create_tenant(
    place: Place,
    report: Report,
    model: LoadingOptions,
    profile: ProfileOptions,
    *,
    max_bytes: int | None = None,
    max_documents: int | None = None,
) -> Index:
    """Make the index of a new tenant.

    Raises:
        StoreError: it is there already.
        ModelUnavailableError: the model cannot be loaded.
    """
    from sharedllm_docs.model.shared_llm import SharedLLM
    from sharedllm_docs.store.tenants import Tenant

    owner = place.keywords
    Tenant.of(owner["tenant"], owner.get("salt"))  # before the model is loaded
    llm = SharedLLM.from_pretrained(report=report, **_options(model, profile, place.url))
    return index_class().create(place.index, llm, max_bytes=max_bytes, max_documents=max_documents, **owner)


def model_options(place: Place, model: LoadingOptions, profile: ProfileOptions) -> dict[str, Any]:
    """What was asked for of the model, as ``Index.open`` takes it in another process."""
    return _options(model, profile, place.url, place.salt)


def _opening(place: Place, model: LoadingOptions | None, profile: ProfileOptions | None) -> dict[str, Any]:
    """Keywords of ``Index.open``: whose index, and what was asked for of the model."""
    return {**place.keywords, **_options(model, profile, place.url, place.salt)}


def _options(
    model: LoadingOptions | None, profile: ProfileOptions | None, url: str, salt: bytes | None = None
) -> dict[str, Any]:
    options = given(model) if model else {}
    chosen = _profile(profile, options, url, salt) if profile else None
    return options if chosen is None else {**options, "profile": chosen}


def _profile(
    options: ProfileOptions, model: Mapping[str, Any], url: str, salt: bytes | None = None
) -> Profile | str | None:
    """The profile asked for: a name if no setting of it is changed, None if nothing was asked for."""
    changes = options.changes()
    if options.grain is not None and options.grain < 1:
        raise ConfigError(
            f"--grain {options.grain} is not a number of tokens per row.", remedy="Use --grain 1 or more."
        )
    if not changes and options.grain is None:
        return options.profile
    recorded = _recorded_profile(url, salt)
    if recorded is not None and options.profile in (None, recorded.name) and "adapter" not in model:
        chosen = recorded
    else:
        chosen = _base_profile(options.profile, _adapter_folder(model))
    if options.grain is not None:  # together with --keep: the recorded grain need not be one that it allows
        chosen = chosen.at_grain(options.grain, changes.get("keep"))
    return replace(chosen, **changes)


def _recorded_profile(url: str, salt: bytes | None) -> Profile | None:
    """The profile of the index at ``url``; None where there is no index."""
    from sharedllm_docs.store import IndexStore

    return Profile.from_dict(IndexStore.open(url, salt=salt).settings["profile"]) if IndexStore.exists(url) else None


def _adapter_folder(model: Mapping[str, Any]) -> str | Path | None:
    """Folder or name of the adapter that the model will have: the one named, or the embedded model's own."""
    named: str = model.get("adapter", "auto")
    if named != "auto":
        return None if named == "none" else named
    from sharedllm_docs.model.adapter import shipped_adapter
    from sharedllm_docs.model.zoo import EMBEDDED

    name = model.get("name_or_path", DEFAULT_MODEL)
    return shipped_adapter(name) if name in EMBEDDED else None


def _base_profile(name: str | None, adapter: str | Path | None) -> Profile:
    if adapter is not None:
        from sharedllm_docs.model.adapter import Adapter

        trained = Adapter.load(adapter).profile
        if name in (None, trained.name):
            return trained
    makers = {None: Profile.prefix, "prefix": Profile.prefix, "sharedllm": Profile.sharedllm}
    if name not in makers:
        raise ConfigError(f"Profile {name!r} is unknown (known: 'prefix', 'sharedllm').", remedy="Use one of these.")
    return makers[name]()


def embedded_models() -> dict[str, EmbeddedModel]:
    """The models that come with the project, by name."""
    from sharedllm_docs.model.zoo import EMBEDDED

    return dict(EMBEDDED)


def model_state(model: EmbeddedModel) -> tuple[bool, Path]:
    """Whether the model is in the cache, and the folder where it lies or will lie."""
    from sharedllm_docs.model.zoo import is_ready, model_folder

    return is_ready(model), model_folder(model)


def default_models() -> list[str]:
    """Names of the embedded models that are used where none is named."""
    from sharedllm_docs.model.zoo import DEFAULTS

    return [model.name for model in DEFAULTS]


def fetch_model(model: EmbeddedModel, report: Report, listen: Listener | None = None) -> Path:
    """The model's folder; the model is fetched if it is missing, and ``listen`` called with the number of bytes that
    have arrived.

    Raises:
        ModelUnavailableError: the model cannot be fetched.
    """
    from sharedllm_docs.model.zoo import ensure

    return ensure(model, report=report, listen=listen)


def calibrate(
    model: str | None, source: str, *, questions: str | None, loading: Mapping[str, Any], say: Report, **options: Any
) -> Calibration:
    """Find the layers that a model reads its context in, with the untrained profile.

    Args:
        model: name or folder; None for the embedded default.
        source: document to try it on.
        questions: file of questions about the document; None completes its own sentences.
        loading: keywords of ``SharedLLM.from_pretrained``.
        say: called with a sentence before slow steps and after each range of layers.
        options: keywords of ``calibrate_layers``.

    Raises:
        DocumentError: the document cannot be read, or is not long enough.
        QuestionError, ConfigError, ModelUnavailableError: see ``calibrate_layers`` and ``SharedLLM.from_pretrained``.
    """
    from sharedllm_docs.documents.readers import read_document
    from sharedllm_docs.evaluation.calibrate import calibrate_layers, read_questions
    from sharedllm_docs.model.shared_llm import SharedLLM

    asked = read_questions(questions) if questions is not None else ()
    document = read_document(source)
    llm = SharedLLM.from_pretrained(model, adapter="none", profile="prefix", report=say, **loading)

    def tell(layers: tuple[int, int], loss: float) -> None:
        say(f"Rows in layers {layers[0]} to {layers[1]}: loss {loss:.3f}")

    return calibrate_layers(llm, document, questions=asked, report=tell, **options)


def convert(source: str, out: str) -> tuple[Path, Path]:
    """Convert a checkpoint of the authors' code; returns the folders of model and adapter.

    Raises:
        AdapterError: ``source`` is not such a checkpoint.
    """
    from sharedllm_docs.model.convert import convert_checkpoint

    return convert_checkpoint(source, out)
