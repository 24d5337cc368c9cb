"""The go-live check: everything that a site configured is asked whether it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import redis
from sqlalchemy.exc import SQLAlchemyError

from core import broker, database, migration
from core.blobs import InstanceFiles
from core.errors import TaqrirError
from core.settings import EMBEDDED, Settings
from core.settings_delivery import DicomwebSettings, FhirSettings
from core.settings_destinations import PacsSettings, RisSettings
from core.settings_node import NodeTlsSettings, SenderSettings
from core.settings_orders import OrdersTlsSettings

_TIMEOUT_SECONDS = 5.0
_MEGABYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question and its answer.

    Attributes:
        warnings: What will be wrong some day, such as a certificate that ends soon.
    """

    name: str
    is_ok: bool
    words: str
    warnings: tuple[str, ...] = ()


def run_checks(settings: Settings) -> Iterator[Check]:
    """Ask everything, one after another; an answer that is no stops nothing."""
    yield _ask("database", partial(_check_database, settings))
    yield _ask("broker", partial(_check_broker, settings))
    yield _ask("disk", partial(_check_disk, settings))
    yield _ask("model", partial(_check_model, settings))
    if (tls := settings.node.tls) is not None:
        yield _ask("node tls", partial(_check_node_tls, settings, tls))
    if (orders_tls := settings.orders.tls) is not None:
        yield _ask("orders tls", partial(_check_orders_tls, settings, orders_tls))
    for pacs in settings.pacs:
        yield _ask(f"pacs {pacs.name}", partial(_check_pacs, settings, pacs))
    for service in settings.dicomweb:
        yield _ask(f"dicomweb {service.name}", partial(_check_dicomweb, settings, service))
    for ris in settings.ris:
        yield _ask(f"ris {ris.name}", partial(_check_ris, settings, ris))
    for server in settings.fhir:
        yield _ask(f"fhir {server.name}", partial(_check_fhir, settings, server))
    yield from _check_senders(settings)


def _ask(name: str, question: Callable[[], str | tuple[str, list[str]]]) -> Check:
    """Ask; the answer is a sentence, or a sentence and warnings."""
    try:
        answer = question()
        words, warnings = (answer, []) if isinstance(answer, str) else answer
        return Check(name=name, is_ok=True, words=words, warnings=tuple(warnings))
    except (TaqrirError, OSError) as error:
        return Check(name=name, is_ok=False, words=str(error))
    except (SQLAlchemyError, redis.RedisError) as error:
        # Their sentences may hold addresses with passwords.
        return Check(name=name, is_ok=False, words=f"no answer ({type(error).__name__})")


def _check_database(settings: Settings) -> str:
    url = database.database_url(settings)
    if url.startswith("sqlite") and not (settings.data_dir / "taqrir.db").exists():
        return "embedded, made at the first start"
    found, newest = migration.revisions(database.open_engine(url))
    pending = "" if found == newest else f", {newest} is made at the next start"
    return f"answers, tables at revision {found or 'none'}{pending}"


def _check_broker(settings: Settings) -> str:
    if settings.broker.url == EMBEDDED:
        path = broker.socket_path(settings.data_dir)
        if not path.exists():
            return f"embedded ({broker.server_binary().name}), started by `taqrir up`"
        connection = redis.Redis(unix_socket_path=str(path), socket_timeout=_TIMEOUT_SECONDS)
    else:
        connection = redis.Redis.from_url(settings.broker.url, socket_timeout=_TIMEOUT_SECONDS)
    with connection:
        connection.ping()
    return "answers"


def _check_disk(settings: Settings) -> str:
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    free = InstanceFiles(folder).free_bytes() // _MEGABYTE
    if free < settings.node.minimum_free_mb:
        raise OSError(
            f"{free} MB free; the node takes nothing under {settings.node.minimum_free_mb} MB"
        )
    return f"{free} MB free"


def _check_model(settings: Settings) -> str:
    from model.checkpoint import inspect_checkpoint

    found = inspect_checkpoint(settings.checkpoint_folder)
    demonstration = ", a demonstration without clinical meaning" if found.is_demonstration else ""
    return f"{found.name} in {settings.checkpoint_folder}{demonstration}"


def _check_node_tls(settings: Settings, tls: NodeTlsSettings) -> tuple[str, list[str]]:
    from dicom_node.tls_check import check_tls

    warnings = check_tls(settings)
    asked = f"client certificate {tls.client_certificate}"
    return f"port {tls.port}, profile {tls.profile}, {asked}", warnings


def _check_orders_tls(settings: Settings, tls: OrdersTlsSettings) -> tuple[str, list[str]]:
    from hl7.tls_check import check_orders_tls

    warnings = check_orders_tls(settings)
    return f"port {settings.orders.port}, client certificate {tls.client_certificate}", warnings


def _check_senders(settings: Settings) -> Iterator[Check]:
    if not settings.senders:
        yield Check(name="senders", is_ok=False, words="[[senders]] is empty: nobody may send")
    for sender in settings.senders:
        if sender.tls is not None:
            yield _ask(f"sender {sender.ae_title}", partial(_check_sender, settings, sender))


def _check_sender(settings: Settings, sender: SenderSettings) -> tuple[str, list[str]]:
    from dicom_node.tls_check import check_sender_tls

    warnings = check_sender_tls(settings, sender)
    return f"commitment is reported to {sender.host}:{sender.port} over TLS", warnings


def _check_pacs(settings: Settings, pacs: PacsSettings) -> tuple[str, list[str]]:
    from core.tls_context import peer_tls
    from dicom_node import client
    from dicom_node.tls_check import check_pacs_tls

    warnings = check_pacs_tls(settings, pacs)
    client.echo(
        client.Peer(
            ae_title=pacs.ae_title,
            host=pacs.host,
            port=pacs.port,
            calling_ae_title=settings.node.ae_title,
            connect_seconds=_TIMEOUT_SECONDS,
            answer_seconds=_TIMEOUT_SECONDS,
            tls=peer_tls(pacs.tls, settings.resolve),
        )
    )
    over = " over TLS" if pacs.tls else ""
    return f"{pacs.ae_title} on {pacs.host}:{pacs.port} answers C-ECHO{over}", warnings


def _check_dicomweb(settings: Settings, service: DicomwebSettings) -> tuple[str, list[str]]:
    from dicom_node import dicomweb
    from worker.destinations.dicomweb import web_peer_of

    dicomweb.probe(replace(web_peer_of(settings, service), answer_seconds=_TIMEOUT_SECONDS))
    has_secret = bool(service.token.get_secret_value() or service.username)
    warnings = []
    if has_secret and service.url.startswith("http:"):
        warnings.append("token or password go over http, readable for everybody on the way")
    return f"{service.url} answers a search", warnings


def _check_ris(settings: Settings, ris: RisSettings) -> tuple[str, list[str]]:
    from core.tls_context import peer_tls
    from hl7 import mllp
    from hl7.tls_check import check_ris_tls

    warnings = check_ris_tls(settings, ris)
    tls = peer_tls(ris.tls, settings.resolve, "ris.tls")
    mllp.probe(ris.host, ris.port, timeout_seconds=_TIMEOUT_SECONDS, tls=tls)
    return f"{ris.host}:{ris.port} takes connections{' over TLS' if tls else ''}", warnings


def _check_fhir(settings: Settings, server: FhirSettings) -> tuple[str, list[str]]:
    from hl7 import fhir_client
    from worker.destinations.fhir import fhir_peer_of

    peer = replace(fhir_peer_of(settings, server), answer_seconds=_TIMEOUT_SECONDS)
    version = fhir_client.probe(peer)
    warnings = []
    if peer.token and server.url.startswith("http:"):
        warnings.append("the token goes over http, readable for everybody on the way")
    return f"{server.url} speaks FHIR {version}", warnings
