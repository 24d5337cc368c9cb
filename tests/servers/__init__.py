"""Real servers for the tests: free ports of the loopback, temporary folders, stopped by pid."""

from servers.dcmtk import StoreScp, dcmtk, running_storescp
from servers.orthanc import Orthanc, dicom_web, running_orthanc
from servers.ports import free_port
from servers.postgres import fresh_database, running_postgres
from servers.process import program, running, wait_until
from servers.redis import running_redis

__all__ = [
    "Orthanc",
    "StoreScp",
    "dcmtk",
    "dicom_web",
    "free_port",
    "fresh_database",
    "program",
    "running",
    "running_orthanc",
    "running_postgres",
    "running_redis",
    "running_storescp",
    "wait_until",
]
