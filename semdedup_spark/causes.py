"""Kinds of failures of Spark and the machine: whether they pass, and the way out of each."""

from __future__ import annotations

import re
from enum import Enum

_CONTINUES = "the same command goes on where this one stopped"
_FAILS_AGAIN = "until then it fails again"


class Kind(Enum):
    """A kind of failure.

    Parameters
    ----------
    passes
        Whether the same command may succeed without any change; ``None`` where that is not
        known.
    way_out
        What to do.

    Attributes
    ----------
    ROOM
        A disk is full.
    FILES
        Files disappear while they are read.
    KILLED
        A process of Spark was killed.
    NETWORK
        A service did not answer.
    CONFLICT
        Another writer changed the same table.
    CANCELLED
        Somebody cancelled the work.
    MEMORY
        Too little memory.
    ACCESS
        A right or a credential is missing.
    VERSION
        A version of a Delta table, or its log, is gone.
    DAMAGED
        A file cannot be read as its format.
    PLATFORM
        A jar, file system or table feature is missing or does not fit.
    WORKERS
        A Python package is missing where Spark's workers run.
    REQUEST
        Spark refuses the request or a value.
    PROGRAM
        A fault of this program or of a package below it.
    LASTING
        Only known: it does not pass.
    PASSING
        Only known: it passes.
    UNKNOWN
        It is not known whether it passes.
    """

    ROOM = (
        True,
        "make room where the output is, and Spark's scratch space (spark.local.dir); "
        f"{_CONTINUES}.",
    )
    FILES = (
        True,
        "somebody removes or replaces files of the source, or of the output, while this runs: let "
        f"that end; {_CONTINUES}. Where it stops at the same file again, the file is gone for "
        "good: set another source.version, or bring it back.",
    )
    KILLED = (
        True,
        "a process of Spark was killed, by somebody or for want of memory (spark.driver.memory, "
        f"embed.batch_size, fewer cores); {_CONTINUES}.",
    )
    NETWORK = (True, f"a service did not answer. When it does, {_CONTINUES}.")
    CONFLICT = (
        True,
        f"another writer changed the same table at the same moment: let it end; {_CONTINUES}.",
    )
    CANCELLED = (True, f"somebody cancelled it; {_CONTINUES}.")
    MEMORY = (
        False,
        "give more memory (spark.driver.memory, spark.executor.memory, spark.driver.maxResultSize) "
        f"or ask for less (embed.batch_size, score.unit_memory_mb, fewer cores); {_FAILS_AGAIN}.",
    )
    ACCESS = (
        False,
        "give the account that runs this the right to read the source and to write the output, "
        f"with credentials that have not expired; {_FAILS_AGAIN}.",
    )
    VERSION = (
        False,
        "a version of a Delta table, or its log, is gone: set source.version to one that is there "
        f"(DESCRIBE HISTORY), or restore the table; {_FAILS_AGAIN}.",
    )
    DAMAGED = (
        False,
        "a file cannot be read as what it should be: replace it, or leave it out of source.path; "
        f"{_FAILS_AGAIN}.",
    )
    PLATFORM = (
        False,
        "a jar, file system or table feature that this needs is missing or of another version, "
        f"here or where Spark's workers run: install what fits; {_FAILS_AGAIN}.",
    )
    WORKERS = (
        False,
        "a Python package is missing where Spark's workers run. Install it there; or send "
        "semdedup_spark itself as a zip (spark-submit --py-files, or spark.addArtifacts with "
        "pyfile=True), and what it imports as a packed environment (--archives). "
        f"docs/how-to/clusters.md shows how; {_FAILS_AGAIN}.",
    )
    REQUEST = (
        False,
        "Spark refuses what it was asked for, or a value of the data: change the setting or the "
        f"rows that the message names; {_FAILS_AGAIN}.",
    )
    PROGRAM = (
        False,
        "the same rows fail in the same way: it is a fault of this program, or of a package below "
        "it. Report it, with the lines above, or leave out the rows that cause it.",
    )
    LASTING = (False, f"change what the message names; {_FAILS_AGAIN}.")
    PASSING = (True, f"{_CONTINUES}.")
    UNKNOWN = (
        None,
        "it is not known whether this passes. Give the same command once more: what was committed "
        "is kept. If it fails in the same way again, report it, with the lines above.",
    )

    def __init__(self, passes: bool | None, way_out: str) -> None:
        self.passes = passes
        self.way_out = way_out

    @property
    def is_elsewhere(self) -> bool:
        """Whether the failure says nothing about the place that was to be read or written.

        Returns
        -------
        bool
            True for failures of the network or of processes, and for other writers.
        """
        return self in (Kind.NETWORK, Kind.KILLED, Kind.CONFLICT, Kind.CANCELLED)

    @classmethod
    def of(cls, passes: bool | None) -> Kind:
        """Give the kind of which only it is known whether it passes.

        Parameters
        ----------
        passes
            Whether it passes; ``None`` if unknown.

        Returns
        -------
        Kind
            ``PASSING``, ``LASTING`` or ``UNKNOWN``.
        """
        return {True: cls.PASSING, False: cls.LASTING, None: cls.UNKNOWN}[passes]


def _patterns(*pairs: tuple[str, Kind]) -> tuple[tuple[re.Pattern[str], Kind], ...]:
    return tuple((re.compile(pattern), kind) for pattern, kind in pairs)


# Error conditions of Spark and Delta whose SQLSTATE says too little or something else.
BY_CONDITION = _patterns(
    (r"FAILED_READ_FILE\.FILE_NOT_EXIST|PATH_NOT_FOUND", Kind.FILES),
    (r"FAILED_READ_FILE\.UNSUPPORTED_FILE_SYSTEM", Kind.PLATFORM),
    (
        r"FAILED_READ_FILE\.(?:CANNOT_READ_FILE_FOOTER|PARQUET_.*)|DELTA_FAILED_READ_FILE_FOOTER"
        r"|MALFORMED_(?:CSV|RECORD).*|DELTA_DELETION_VECTOR_(?!MISSING).*",
        Kind.DAMAGED,
    ),
    (r"DELTA_(?:CONCURRENT_.*|METADATA_CHANGED|PROTOCOL_CHANGED)", Kind.CONFLICT),
    (r"DELTA_MAX_COMMIT_RETRIES_EXCEEDED", Kind.CONFLICT),
    (
        r"DELTA_(?:CANNOT_FIND_VERSION|VERSION_.*|VERSIONS_.*|TRUNCATED_TRANSACTION_LOG"
        r"|NO_COMMITS_FOUND|NO_RECREATABLE_HISTORY_FOUND|LOG_FILE_NOT_FOUND.*|.*FILE_NOT_FOUND.*"
        r"|STATE_RECOVER_ERROR|TIMESTAMP_.*|MISSING_CHANGE_DATA)",
        Kind.VERSION,
    ),
    (r"DELTA_UNSUPPORTED_FEATURES_.*|DELTA_.*PROTOCOL.*|DELTA_FEATURE.*", Kind.PLATFORM),
    (r"DATA_SOURCE_NOT_FOUND|UNSUPPORTED_FILE_SYSTEM|INCOMPATIBLE_DATASOURCE.*", Kind.PLATFORM),
    (r"INSUFFICIENT_PERMISSIONS.*|DELTA_PATH_BASED_ACCESS.*", Kind.ACCESS),
    (r".*OUT_OF_MEMORY|UNABLE_TO_ACQUIRE_MEMORY|KRYO_BUFFER_OVERFLOW", Kind.MEMORY),
    (r"CHECKPOINT_RDD_BLOCK_ID_NOT_FOUND", Kind.KILLED),
    (r"SPARK_JOB_CANCELLED|OPERATION_CANCELED", Kind.CANCELLED),
)
# Prefixes of SQLSTATE, longer ones first. Those that are missing (38, 39, 58, XX) tell no kind.
BY_SQLSTATE = (
    ("HY008", Kind.CANCELLED),
    ("XXKDA", Kind.CANCELLED),
    ("2D521", Kind.CONFLICT),
    ("KD004", Kind.PLATFORM),
    ("KD007", Kind.FILES),
    ("51024", Kind.FILES),
    ("08", Kind.NETWORK),
    ("40", Kind.CONFLICT),
    ("53", Kind.MEMORY),
    ("82", Kind.MEMORY),
    ("0A", Kind.REQUEST),
    ("07", Kind.REQUEST),
    ("21", Kind.REQUEST),
    ("22", Kind.REQUEST),
    ("23", Kind.REQUEST),
    ("25", Kind.REQUEST),
    ("3F", Kind.REQUEST),
    ("42", Kind.REQUEST),
    ("44", Kind.REQUEST),
    ("46", Kind.REQUEST),
    ("54", Kind.REQUEST),
    ("55", Kind.REQUEST),
    ("56", Kind.PLATFORM),
    ("F0", Kind.PLATFORM),
)
# Exception classes of Java, Hadoop, Delta and Python, for exceptions without a condition. Order
# matters: a killed process makes others lose their connections.
BY_CLASS = _patterns(
    (r"OutOfMemoryError|SparkOutOfMemoryError|MemoryError|ArrowMemoryError", Kind.MEMORY),
    (r"(?:Metadata)?FetchFailedException|Py4JNetworkError", Kind.KILLED),
    (
        r"AccessControlException|AccessDeniedException|PermissionError|KerberosAuthException"
        r"|NoAuthWithAWSException|NoAwsCredentialsException|CredentialInitializationException"
        r"|AuthorizationException|InvalidToken|ExpiredTokenException",
        Kind.ACCESS,
    ),
    (
        r"ClassNotFoundException|NoClassDefFoundError|NoSuchMethodError|NoSuchFieldError"
        r"|AbstractMethodError|UnsupportedClassVersionError|UnsatisfiedLinkError"
        r"|UnsupportedFileSystemException|InvalidProtocolVersionException"
        r"|DeltaUnsupportedTableFeatureException",
        Kind.PLATFORM,
    ),
    (r"(?:PySpark)?ImportError|ModuleNotFoundError", Kind.WORKERS),
    (r"UnknownStoreException|NoSuchBucketException", Kind.LASTING),
    (r"DeltaFileNotFoundException|VersionNotFoundException|TimestampEarlier.*", Kind.VERSION),
    (r"Concurrent\w+Exception|(?:Metadata|Protocol)ChangedException", Kind.CONFLICT),
    (r"FileNotFoundException|NoSuchFileException|FileNotFoundError", Kind.FILES),
    (
        r"SocketTimeoutException|ConnectException|NoRouteToHostException|SocketException"
        r"|ConnectTimeoutException|ConnectionPoolTimeoutException|NoHttpResponseException"
        r"|UnknownHostException|RpcTimeoutException|TimeoutException|AWSStatus50\dException"
        r"|AWSServiceThrottledException|AWSServiceIOException|AWSApiCallTimeoutException"
        r"|StandbyException|RetriableException|SafeModeException|SSLException"
        r"|SSLHandshakeException|Connection\w*Error|TimeoutError|BrokenPipeError",
        Kind.NETWORK,
    ),
    (r"NumberFormatException|ArithmeticException|DateTimeException|ParseException", Kind.REQUEST),
    (
        r"ValueError|TypeError|KeyError|IndexError|AttributeError|AssertionError|NameError"
        r"|ZeroDivisionError|OverflowError|NotImplementedError|RecursionError|Unicode\w*Error"
        r"|ArrowInvalid|ArrowTypeError|ArrowKeyError|ArrowNotImplementedError|UnboundLocalError",
        Kind.PROGRAM,
    ),
)
# Wording, for exceptions that have neither a condition nor a class that tells a kind.
BY_WORDS = (
    (r"No space left on device|Disk quota exceeded", Kind.ROOM),
    (r"Java heap space|GC overhead limit|spark\.driver\.maxResultSize", Kind.MEMORY),
    (r"CUDA out of memory|Cannot broadcast the table|Cannot allocate memory", Kind.MEMORY),
    (
        r"Status Code: 403|403 Forbidden|HTTP 403|Access Denied|SignatureDoesNotMatch"
        r"|StatusCode\.(?:UNAUTHENTICATED|PERMISSION_DENIED)"
        r"|InvalidAccessKeyId|ExpiredToken|AuthorizationPermissionMismatch|Permission denied"
        r"|Read-only file system",
        Kind.ACCESS,
    ),
    (r"No FileSystem for scheme|incompatible with the Delta", Kind.PLATFORM),
    (r"Too many open files", Kind.LASTING),
    (r"NoSuchBucket|bucket does not exist", Kind.LASTING),
    (r"FILE_NOT_EXIST|PATH_NOT_FOUND|does not exist|NoSuchKey", Kind.FILES),
    (
        r"Python worker exited unexpectedly|Python worker failed to connect back"
        r"|Connection reset|SparkContext was shut down|stopped SparkContext|ExecutorLostFailure"
        r"|Answer from Java side is empty|Connection refused|Broken pipe",
        Kind.KILLED,
    ),
    (r"StatusCode\.(?:UNAVAILABLE|DEADLINE_EXCEEDED)|failed to connect to all", Kind.NETWORK),
    (r"SlowDown|Status Code: 50\d|HTTP 50\d|Too Many Requests|Throttl|timed out", Kind.NETWORK),
    (r"is not a Parquet file|Malformed|Corrupt|corrupt", Kind.DAMAGED),
    (r"was cancelled|has been cancelled|cancelled part of", Kind.CANCELLED),
)
