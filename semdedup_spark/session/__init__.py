"""A SparkSession with Delta, and how its Python workers start. This file imports nothing."""
