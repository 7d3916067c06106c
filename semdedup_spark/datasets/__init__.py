"""Image data sets by name: MNIST, Fashion-MNIST and CIFAR-10."""

from semdedup_spark.datasets.named import NAMES, ImageSet, load_images

__all__ = ["NAMES", "ImageSet", "load_images"]
