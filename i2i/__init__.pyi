"""The public names, and where each comes from."""

from .backbone import Backbone as Backbone
from .branches import Branches as Branches
from .branches import branch as branch
from .branches import branch_parameters as branch_parameters
from .branches import has_branches as has_branches
from .branches import parameters_without as parameters_without
from .branches import routed as routed
from .checkpoint import load as load
from .config import Options as Options
from .config import check_group_name as check_group_name
from .dataset import Dataset as Dataset
from .dataset import Group as Group
from .detector import GroupDetector as GroupDetector
from .discriminator import Discriminator as Discriminator
from .discriminator import GroupHead as GroupHead
from .discriminator import Verdict as Verdict
from .errors import CheckpointError as CheckpointError
from .errors import ConfigError as ConfigError
from .errors import DataError as DataError
from .errors import I2IError as I2IError
from .errors import PluginError as PluginError
from .errors import TrainingError as TrainingError
from .errors import UnknownComponentError as UnknownComponentError
from .errors import WeightsError as WeightsError
from .format import CheckpointFormat as CheckpointFormat
from .format import Imported as Imported
from .generator import Generator as Generator
from .generator import Translation as Translation
from .hookspecs import hookimpl as hookimpl
from .hookspecs import hookspec as hookspec
from .images import Batch as Batch
from .images import list_images as list_images
from .images import read_image as read_image
from .images import write_image as write_image
from .loss import Loss as Loss
from .loss import Passes as Passes
from .metric import Metric as Metric
from .metric import Score as Score
from .model import Model as Model
from .plugins import Registry as Registry
from .transfer import NoTransfer as NoTransfer
from .transfer import Transfer as Transfer
from .transfer import group_mean as group_mean

__version__: str
