"""Options of Spark's readers that hold no secret, in lower case."""

from __future__ import annotations

# Any other option may hold a secret.
HARMLESS_OPTIONS = frozenset(
    [
        *("allowbackslashescapinganycharacter", "allowcomments", "allownonnumericnumbers"),
        *("allownumericleadingzeros", "allowsinglequotes", "allowunquotedcontrolchars"),
        *("allowunquotedfieldnames", "badrecordspath", "basepath", "charset"),
        *("chartoescapequoteescaping", "columnnameofcorruptrecord", "comment", "compression"),
        *("dateformat", "datetimerebasemode", "delimiter", "dropfieldifallnull", "emptyvalue"),
        *("enabledatetimeparsingfallback", "encoding", "enforceschema", "escape", "escapequotes"),
        *("header", "ignorecorruptfiles", "ignoreleadingwhitespace", "ignoremissingfiles"),
        *("ignoretrailingwhitespace", "inferschema", "int96rebasemode", "linesep", "locale"),
        *("maxcharspercolumn", "maxcolumns", "maxnestingdepth", "maxnumlen", "maxstringlen"),
        *("mergeschema", "mode", "modifiedafter", "modifiedbefore", "multiline", "nanvalue"),
        *("negativeinf", "nullvalue", "pathglobfilter", "positiveinf", "preferdate"),
        *("prefersdecimal", "primitivesasstring", "quote", "quoteall", "recursivefilelookup"),
        *("rescueddatacolumn", "samplingratio", "sep", "singlevariantcolumn", "timeformat"),
        *("timestampformat", "timestampntzformat", "timezone", "unescapedquotehandling"),
        *("versionasof", "wholetext"),
        *("fs.s3a.endpoint", "fs.s3a.endpoint.region", "fs.s3a.path.style.access"),
    ]
)
