"""The queries that a piece of work asks of Spark."""


def new_queries(spark, work):
    """What ``work`` returns, and the queries that it asked. Spark knows the last thousand."""
    before = max(_known(spark), default=-1)
    result = work()
    return result, [query for number, query in _known(spark).items() if number > before]


def _known(spark):
    spark._jsc.sc().listenerBus().waitUntilEmpty()
    known = spark._jsparkSession.sharedState().statusStore().executionsList()
    return {known.apply(i).executionId(): known.apply(i) for i in range(known.size())}
